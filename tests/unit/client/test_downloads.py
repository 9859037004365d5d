"""Takes are downloaded whole or not at all, also over a network that cuts connections."""

import hashlib
from pathlib import Path

import pytest
import soundfile

from acestep_ray.client import (
    Client,
    ConnectionFailed,
    DownloadFailed,
    GenerateFields,
    NotFound,
    Retries,
)
from tests.one_process import OneProcess
from tests.unit.client.conftest import MakeClient
from tests.unit.client.hostile import CUT, JOB_ID, Reaction, answer, half, hostile, plain, problem
from tests.unit.client.relay import relay

SONG: GenerateFields = {"audio_duration": 10, "batch_size": 2, "audio_format": "wav"}
TAKE = bytes(range(256)) * 40
ETAG = f'"{hashlib.sha256(TAKE).hexdigest()}"'
DONE = answer(
    200, {"job_id": JOB_ID, "status": "succeeded", "result": {"audio_paths": ["/v1/audio/x/1.mp3"]}}
)


def take(**headers: str) -> Reaction:
    """The whole take."""
    return answer(200, TAKE, "audio/mpeg", ETag=ETAG, **headers)


def rest(start: int) -> Reaction:
    """The take from a byte on."""
    span = f"bytes {start}-{len(TAKE) - 1}/{len(TAKE)}"
    return answer(206, TAKE[start:], "audio/mpeg", ETag=ETAG, Content_Range=span)


def test_takes_are_songs_with_names_of_their_own(client: Client, folder: Path) -> None:
    job = client.generate(**SONG).wait()
    assert job.result
    first, second = job.result.seed_value.split(",")
    files = job.download(folder)
    assert files == [folder / f"{job.id}-1.wav", folder / f"{job.id}-2.wav"]
    assert soundfile.info(files[0]).duration == 10
    assert job.download(str(folder), ["a.wav", "曲.wav"]) == [folder / "a.wav", folder / "曲.wav"]
    named = job.download(folder, "{take} {seed}.{ext}")
    assert [file.name for file in named] == [f"1 {first}.wav", f"2 {second}.wav"]
    assert len(list(folder.iterdir())) == 6
    long = [letter * 255 for letter in "ab"]
    assert [file.name for file in job.download(folder, long)] == long


def test_a_job_of_a_list_can_be_downloaded(client: Client, folder: Path) -> None:
    client.generate(**SONG).wait()
    job = next(client.jobs("succeeded"))
    assert job.result is None
    assert len(job.download(folder)) == 2


@pytest.mark.parametrize(
    "names", ["same.mp3", ["one.mp3"], ["a", "a"], "../{take}", "{take}/x", "{title}{take}", "{0}"]
)
def test_names_that_cannot_be_used_are_refused(
    client: Client, folder: Path, names: str | list[str]
) -> None:
    job = client.generate(**SONG).wait()
    with pytest.raises(ValueError, match="name"):
        job.download(folder, names)
    assert not folder.exists()


def test_a_file_is_replaced(client: Client, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "1.wav").write_bytes(b"old")
    client.generate(**SONG).wait().download(folder, "{take}.{ext}")
    assert soundfile.info(folder / "1.wav").duration == 10


def test_a_file_that_must_not_be_replaced_is_kept(client: Client, folder: Path) -> None:
    folder.mkdir(parents=True)
    mine = folder / "2.wav"
    mine.write_bytes(b"mine")
    job = client.generate(**SONG).wait()
    with pytest.raises(FileExistsError) as caught:
        job.download(folder, "{take}.{ext}", overwrite=False)
    assert caught.value.filename == str(mine) and mine.read_bytes() == b"mine"
    assert list(folder.iterdir()) == [mine], "no other take was written"


def test_a_take_that_is_there_already_is_in_nobodys_way(client: Client, folder: Path) -> None:
    """As after a download that was interrupted after its first take."""
    job = client.generate(**SONG).wait()
    first, second = job.download(folder)
    second.unlink()
    assert job.download(folder, overwrite=False) == [first, second]
    assert soundfile.info(second).duration == 10


def test_a_cut_download_of_the_service_continues_where_it_was(
    client_of: MakeClient, server: OneProcess, folder: Path
) -> None:
    with relay(server.url) as network:
        job = client_of(network.url).generate(**SONG).wait()
        network.allowance = 1_000_000
        files = job.download(folder)
        assert network.cuts == 1
    assert [soundfile.info(file).frames for file in files] == [480_000] * 2
    continued = [one for one in server.seen if one.status == 206]
    assert continued and continued[-1].headers["range"].startswith("bytes=")


def test_every_fault_of_a_download_is_survived(client_of: MakeClient, folder: Path) -> None:
    script = (
        DONE,
        CUT,
        plain(503, "no replica"),
        problem(503, "storage_unavailable"),
        half(take(), len(TAKE) - 100),
        CUT,
        half(rest(100), 50),
        rest(len(TAKE) - 50),
    )
    with hostile(*script) as server:
        [file] = client_of(server.url).job(JOB_ID).download(folder)
    assert file.read_bytes() == TAKE
    assert [file] == list(folder.iterdir())
    assert server.seen[-1].headers["range"] == f"bytes={len(TAKE) - 50}-"
    assert server.seen[-1].headers["if-range"] == ETAG


def test_a_download_begins_again_if_the_file_has_changed(
    client_of: MakeClient, folder: Path
) -> None:
    other = answer(200, b"another take", "audio/mpeg", ETag='"2"')
    with hostile(DONE, half(take(), 100), other) as server:
        [file] = client_of(server.url).job(JOB_ID).download(folder)
    assert file.read_bytes() == b"another take"


@pytest.mark.parametrize(
    "wrong",
    [
        answer(200, TAKE[:-1] + b"?", "audio/mpeg", ETag=ETAG),
        answer(206, TAKE[7:], "audio/mpeg", ETag=ETAG, Content_Range="bytes 7-9/9"),
    ],
)
def test_a_file_that_is_not_the_take_gets_no_name(
    client_of: MakeClient, folder: Path, wrong: Reaction
) -> None:
    with hostile(DONE, wrong) as server, pytest.raises(DownloadFailed):
        client_of(server.url).job(JOB_ID).download(folder)
    assert list(folder.iterdir()) == []


def test_a_download_that_is_given_up_leaves_nothing(client_of: MakeClient, folder: Path) -> None:
    short = Retries(seconds=0.2, outage=0.2, first_pause=0.05)
    with hostile(DONE, half(take()), plain(503)) as server:
        client = client_of(server.url, retries=short)
        with pytest.raises(Exception, match="503"):
            client.job(JOB_ID).download(folder)
    assert list(folder.iterdir()) == []
    with hostile(DONE, problem(404, "audio_not_found")) as server, pytest.raises(NotFound):
        client_of(server.url).job(JOB_ID).download(folder)
    assert list(folder.iterdir()) == []


def test_redirects_without_an_end_are_reported(client_of: MakeClient, folder: Path) -> None:
    around = answer(307, b"", "text/plain", Location="/around")
    with hostile(DONE, around) as server, pytest.raises(ConnectionFailed, match="redirects"):
        client_of(server.url).job(JOB_ID).download(folder)
    assert list(folder.iterdir()) == []


def test_a_redirect_to_an_object_store_is_followed_without_the_key(
    client_of: MakeClient, folder: Path
) -> None:
    """Also if the result names another address for clients, which must not get the key either."""
    with hostile(half(take(), 100), rest(len(TAKE) - 100)) as bucket:
        elsewhere = {"audio_paths": ["http://127.0.0.1:9/v1/audio/x/1.mp3"]}
        done = answer(200, {"job_id": JOB_ID, "status": "succeeded", "result": elsewhere})
        redirect = answer(307, b"", "text/plain", Location=f"{bucket.url}/signed?x=1")
        with hostile(done, redirect) as server:
            [file] = client_of(server.url, "secret").job(JOB_ID).download(folder)
    assert file.read_bytes() == TAKE
    assert [one.target for one in bucket.seen] == ["/signed?x=1"] * 2
    assert not any("authorization" in one.headers for one in bucket.seen)
    assert bucket.seen[1].headers["range"] == f"bytes={len(TAKE) - 100}-"
    assert [one.target for one in server.seen][1:] == [f"/v1/audio/{JOB_ID}/1.mp3"] * 2
