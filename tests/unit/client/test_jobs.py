"""The client against the real app with mock engines: songs are made, and errors are typed."""

import itertools
import pickle
import time
from pathlib import Path
from typing import Literal, TypedDict

import pytest

from acestep_ray.client import (
    NO_RETRIES,
    AuthenticationFailed,
    Client,
    Conflict,
    ConnectionFailed,
    Gone,
    InvalidRequest,
    JobFailed,
    NotFound,
    QueueFull,
    WaitTimeout,
    core,
)
from tests.one_process import one_process
from tests.unit.client.conftest import MakeClient
from tests.unit.client.hostile import Reaction, answer, hostile, silence


class Short(TypedDict):
    """Fields of a short song."""

    audio_duration: float
    batch_size: int
    audio_format: Literal["wav"]


SHORT: Short = {"audio_duration": 2, "batch_size": 1, "audio_format": "wav"}


def test_a_song_is_made(client: Client) -> None:
    job = client.generate(
        caption="upbeat pop song", audio_duration=10, use_5hz_lm=True, bpm=97, use_adg=True
    )
    assert "Not used by mock, a turbo model: use_adg." in job.warnings
    assert job.wait() is job
    assert (job.status, job.ended, job.queue_position) == ("succeeded", True, 0)
    assert job.error is None and job.error_code is None
    assert job.state.finished_at and job.state.created_at
    assert job.result is not None
    assert len(job.result.audio_paths) == len(job.result.seed_value.split(",")) == 2
    assert job.result.bpm == job.result.metas["bpm"] == 97
    assert job.result.audio_codes


def test_the_times_of_the_lyrics_come_with_the_song(client: Client) -> None:
    job = client.generate(
        caption="pop", lyrics="[verse]\nHello world\nthis is me", audio_duration=12, lrc=True
    ).wait()
    assert job.result is not None and job.result.lrc is not None
    assert len(job.result.lrc) == len(job.result.audio_paths) == 2
    for text in job.result.lrc:
        assert text and [line[10:] for line in text.splitlines()] == [
            "[verse]", "Hello world", "this is me",
        ]  # fmt: skip
    assert job.result.scores is None
    with pytest.raises(InvalidRequest, match="scores needs a decoder that knows"):
        client.generate(caption="pop", lyrics="la", scores=True)


def test_progress_is_reported_up_to_the_end(client_of: MakeClient, tmp_path: Path) -> None:
    shown = []
    with one_process(data=tmp_path, mock={"step_seconds": 0.4}) as slow:
        job = client_of(slow.url).generate(**SHORT)
        job.wait(progress=lambda one: shown.append((one.status, one.progress)))
    assert shown[0][0] in ("queued", "running")
    assert shown[-1] == ("succeeded", None)
    fractions = [progress.fraction for _, progress in shown if progress]
    assert fractions == sorted(fractions)
    assert len(set(fractions)) >= 2
    assert all(one != other for one, other in itertools.pairwise(shown))


def test_a_job_that_has_ended_is_not_asked_for_again(client: Client) -> None:
    shown = []
    job = client.generate(**SHORT).wait()
    job.wait(timeout=0, progress=lambda one: shown.append(one.status))
    assert shown == ["succeeded"]


def test_a_failure_is_raised_with_its_code_and_sentence(client: Client) -> None:
    job = client.generate(audio_duration=600).cancel()
    assert (job.status, job.error_code) == ("failed", "cancelled")
    with pytest.raises(JobFailed) as caught:
        job.wait()
    assert (caught.value.code, str(caught.value)) == ("cancelled", job.error)
    assert caught.value.job == job.state
    assert job.wait(raise_on_failure=False) is job
    with pytest.raises(JobFailed):
        job.download()
    assert job.cancel().error_code == "cancelled"


def test_a_wait_ends_in_time_and_the_job_goes_on(client_of: MakeClient, tmp_path: Path) -> None:
    with one_process(data=tmp_path, mock={"step_seconds": 2}) as slow:
        job = client_of(slow.url).generate(**SHORT)
        with pytest.raises(WaitTimeout, match=r"has not ended within 0\.5 s") as caught:
            job.wait(timeout=0.5)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.job == job.state
        with pytest.raises(NotFound, match="it has no takes yet"):
            job.download(tmp_path)
        assert not job.refresh().ended
        job.cancel()


def test_a_wait_ends_in_time_also_if_the_service_is_away(client_of: MakeClient) -> None:
    with hostile(Reaction(answer().data)) as away:
        job = client_of(away.url).generate(**SHORT)
    with pytest.raises(WaitTimeout) as caught:
        job.wait(timeout=0.3)
    assert isinstance(caught.value.__cause__, ConnectionFailed)


def test_a_wait_ends_in_time_also_if_the_service_is_silent(client_of: MakeClient) -> None:
    with hostile(answer(), silence(60)) as silent:
        job = client_of(silent.url, timeout=50).generate(**SHORT)
        began = time.monotonic()
        with pytest.raises(WaitTimeout):
            job.wait(timeout=0.1)
    assert time.monotonic() - began < 30


def test_the_same_key_is_the_same_job(client: Client) -> None:
    first = client.generate(idempotency_key="one song", **SHORT)
    again = client.generate(idempotency_key="one song", **SHORT)
    assert first.id == again.id
    with pytest.raises(InvalidRequest) as caught:
        client.generate(caption="another", idempotency_key="one song", **SHORT)
    assert caught.value.code == "idempotency_key_reused"
    first.wait()


def test_audio_is_covered_from_a_file_or_an_earlier_job(client: Client, tmp_path: Path) -> None:
    [file] = client.generate(**SHORT).wait().download(tmp_path)
    with file.open("rb") as opened:
        for source in (file, opened):  # test_request_body.py has the others
            job = client.generate(
                task_type="cover",
                caption="jazz",
                src_audio=source,
                batch_size=1,
                audio_format="wav",
            )
            assert job.wait().status == "succeeded" and not job.warnings
    earlier = next(client.jobs(status="succeeded"))
    job = client.generate(task_type="repaint", repainting_end=1, src_job_id=earlier.id)
    assert job.wait().result


def test_lists_go_over_pages(
    client_of: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "PAGE", 3)
    monkeypatch.setattr(core, "MOST_JOBS", 4)
    with one_process(data=tmp_path) as server:
        client = client_of(server.url)
        made = [client.generate(caption=f"song {n}", use_adg=True, **SHORT) for n in range(7)]
        for job in made:
            job.wait()
        ids = [job.id for job in reversed(made)]
        listed = list(client.jobs())
        assert [job.id for job in listed] == ids
        assert listed[0].state.caption == "song 6"
        assert (listed[0].state.takes, listed[0].state.task_type) == (1, "text2music")
        assert not listed[0].warnings
        assert [job.id for job in client.jobs("succeeded", 6)] == ids[:6]
        assert [*client.jobs(limit=0), *client.jobs("failed")] == []
        assert next(client.jobs(limit=1, full=True)).warnings
        pages = [one for one in server.seen if one.path == "/v1/jobs"]
        assert len(pages) == 3 + 2 + 1 + 1
        with pytest.raises(InvalidRequest) as caught:
            next(client.jobs("lost"))
        assert "queued, running" in (caught.value.errors["status"].legal or "")


def test_a_full_queue_is_an_error_of_its_own(client_of: MakeClient, tmp_path: Path) -> None:
    with one_process(data=tmp_path, limits={"queue": 1}, mock={"step_seconds": 1}) as slow:
        client = client_of(slow.url, retries=NO_RETRIES)
        with pytest.raises(QueueFull) as caught:
            while True:
                client.generate(caption="another", **SHORT)
        for job in [*client.jobs("queued"), *client.jobs("running")]:
            job.cancel()
    assert caught.value.retry_after and caught.value.status == 429


def test_a_deleted_job_is_gone(client: Client) -> None:
    job = client.generate(**SHORT).wait()
    with pytest.raises(Conflict):
        job.cancel()
    job.delete()
    for call in (job.refresh, job.delete, job.download, job.deliveries, lambda: next(job.stream())):
        with pytest.raises(Gone):
            call()
    with pytest.raises(NotFound):
        client.job("550e8400-e29b-41d4-a716-446655440000")


def test_a_wrong_field_is_named(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.generate(bpm=1000, key_scale="H", audio_duration=9999)
    error = caught.value
    assert error.errors.keys() == {"bpm", "key_scale", "audio_duration"}
    assert error.errors["bpm"].legal == "a whole number from 30 to 300, or null"
    assert error.request_id
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.errors, copy.status) == (str(error), error.errors, 422)


def test_a_service_with_a_key(client_of: MakeClient, tmp_path: Path) -> None:
    hook = {"secret": "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMjQgYnl0ZXMh", "allow": "loopback"}
    with one_process(data=tmp_path, api_key="k", webhooks=hook) as closed:
        for key in (None, "wrong"):
            client = client_of(closed.url, key)
            assert client.health().mock
            assert client.ready().ready
            with pytest.raises(AuthenticationFailed):
                client.models()
        client = client_of(closed.url, "k")
        assert "wav" in client.models().audio_formats
        assert client.models().limits.batch_size == 8
        assert client.stats().capacity.decode_slots == 2
        job = client.generate(webhook_url="http://127.0.0.1:9/hook", **SHORT).wait()
        assert [one.type for one in job.deliveries()] == ["job.ended"]
        assert job.download(tmp_path)
