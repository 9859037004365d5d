"""Jobs from HTTP to file on a real Ray cluster: what every client relies on."""

import io
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import soundfile

from acestep_ray.formats import FORMATS
from tests.measure import chroma, on_grid
from tests.service import Service, until


def audio(service: Service, job: dict[str, Any], take: int = 0) -> tuple[Any, int]:
    """A take's samples and rate, decoded from the file that a client gets."""
    answer = service.http.get(job["result"]["audio_paths"][take])
    assert answer.status_code == 200
    content = answer.content
    if answer.headers["content-type"] == "audio/mp4":
        command = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-f", "wav", "pipe:1"]
        content = subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    return samples, rate


def test_sixty_jobs_at_once(service: Service) -> None:
    """All succeed, ids are unique, positions run 1..n and fall, the ETA is positive."""

    def submit(number: int) -> dict[str, Any]:
        answer = service.http.post(
            "/v1/music/generate",
            json={"caption": f"song {number}", "audio_duration": 5, "batch_size": 1},
        )
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(submit, range(60)))
    ids = [answer["job_id"] for answer in answers]
    assert len(set(ids)) == 60
    assert all(answer["status"] == "queued" for answer in answers)
    assert min(answer["queue_position"] for answer in answers) == 1

    last = dict.fromkeys(ids, 1_000)
    most = 0
    waiting = set(ids)

    def all_ended() -> bool:
        nonlocal most
        page = service.http.get("/v1/jobs", params={"limit": 200}).json()["jobs"]
        jobs = {job["job_id"]: job for job in page if job["job_id"] in waiting}
        queued = [job for job in jobs.values() if job["status"] == "queued"]
        # One read of the list is one moment: the positions are 1..n without a gap.
        positions = sorted(job["queue_position"] for job in queued)
        assert positions == list(range(1, len(queued) + 1))
        most = max(most, len(queued))
        for job in jobs.values():
            assert job["status"] in ("queued", "running", "succeeded")
            assert job["queue_position"] <= last[job["job_id"]]
            last[job["job_id"]] = job["queue_position"]
            if job["status"] == "queued":
                assert job["eta_seconds"] > 0
        return all(job["status"] == "succeeded" for job in jobs.values())

    until(all_ended, "60 jobs did not all succeed")
    assert most >= 10, "the queue was never seen long: the test proved nothing"
    for job_id in ids:
        job = service.job(job_id)
        assert (job["queue_position"], job["eta_seconds"]) == (0, None)


def test_seeds_are_kept_and_replay_each_take(service: Service) -> None:
    request = {"caption": "calm piano", "audio_duration": 4, "audio_format": "wav"}
    first = service.make(**request, batch_size=2)
    seeds = first["result"]["seed_value"]
    again = service.make(**request, batch_size=2, use_random_seed=False, seed=seeds)
    assert again["result"]["seed_value"] == seeds
    takes = []
    for job in (first, again):
        takes.append([service.http.get(path).content for path in job["result"]["audio_paths"]])
    assert takes[0] == takes[1]
    assert takes[0][0] != takes[0][1]


def test_seed_zero_is_seed_zero(service: Service) -> None:
    job = service.make(
        caption="calm", audio_duration=2, use_random_seed=False, seed=0, batch_size=2
    )
    assert job["result"]["seed_value"] == "0,1"


@pytest.mark.parametrize("audio_format", FORMATS)
def test_every_format_plays_and_is_as_long_as_asked(service: Service, audio_format: str) -> None:
    job = service.make(audio_duration=3.97, audio_format=audio_format, batch_size=1)
    samples, rate = audio(service, job)
    assert rate == 48_000
    assert samples.shape[1] == 2
    # Lossy formats may pad; they must hold all of the audio.
    frames = int(3.97 * 25) * 1920
    assert frames <= len(samples) < frames + 4 * 1152
    if audio_format in ("wav", "wav32", "flac"):
        assert len(samples) == frames
        assert np.abs(samples).max() == pytest.approx(10 ** (-1 / 20), abs=1e-3)


@pytest.mark.parametrize("bpm", [90, 120, 174])
def test_the_beats_lie_where_the_bpm_says(service: Service, bpm: int) -> None:
    job = service.make(caption="dance", bpm=bpm, audio_duration=20, batch_size=1)
    samples, rate = audio(service, job)
    assert on_grid(samples, rate, bpm)


def test_the_notes_are_those_of_the_key(service: Service) -> None:
    def notes(key: str) -> Any:
        job = service.make(
            caption="piano", key_scale=key, audio_duration=20, batch_size=1, audio_format="flac"
        )
        return chroma(*audio(service, job))

    white = [0, 2, 4, 5, 7, 9, 11]  # C major
    f_sharp_minor = [6, 8, 9, 11, 1, 2, 4]
    only_white, only_sharp = set(white) - set(f_sharp_minor), set(f_sharp_minor) - set(white)
    in_c, in_f_sharp = notes("C major"), notes("f# minor")
    assert sum(in_c[list(only_white)]) > 3 * sum(in_c[list(only_sharp)])
    assert sum(in_f_sharp[list(only_sharp)]) > 3 * sum(in_f_sharp[list(only_white)])


def test_the_lm_fills_what_the_user_left_open(service: Service) -> None:
    job = service.make(
        caption="slow sad ballad in D minor", lyrics="la la", use_5hz_lm=True, bpm=77,
        audio_duration=12, batch_size=1,
    )  # fmt: skip
    result = job["result"]
    assert (result["bpm"], result["duration"], result["genres"]) == (77, 12.0, None)
    assert result["keyscale"] == "D minor"
    assert result["timesignature"] in ("2", "3", "4", "6")
    assert set(result["metas"]) == {"bpm", "duration", "genres", "keyscale", "timesignature"}
    assert result["metas"]["genres"] == "N/A"
    assert result["audio_codes"].count("<|audio_code_") == 60
    replay = service.make(
        caption="slow sad ballad in D minor", lyrics="la la", bpm=77, batch_size=1,
        key_scale=result["keyscale"], time_signature=result["timesignature"],
        audio_code_string=result["audio_codes"], use_random_seed=False,
        seed=result["seed_value"],
    )  # fmt: skip
    ours, theirs = (service.http.get(j["result"]["first_audio_path"]) for j in (job, replay))
    assert ours.headers["etag"] == theirs.headers["etag"] or ours.content == theirs.content


def test_each_take_has_its_own_plan_which_its_seed_gives_alone(service: Service) -> None:
    """Also as upstream's clients read it. The planner has four slots: a job of six takes, too, must
    not wait for ever."""
    song: dict[str, Any] = {
        "caption": "ballad", "lyrics": "la la", "audio_duration": 10, "bpm": 77, "key_scale": "Am",
        "time_signature": "4", "use_random_seed": False, "audio_format": "wav",
    }  # fmt: skip
    job = service.make(**song, use_5hz_lm=True, seed="1,2,3,4,5,6")
    result = job["result"]
    codes = result["take_audio_codes"]
    assert len(set(codes)) == 6
    takes = [service.http.get(path).content for path in result["audio_paths"]]
    alone = service.make(**song, use_5hz_lm=True, seed=4, batch_size=1)["result"]
    assert alone["take_audio_codes"] == [codes[3]]
    replay = service.make(
        **song, audio_code_string=result["audio_codes"], seed=result["seed_value"]
    )["result"]
    again = [service.http.get(path).content for path in replay["audio_paths"]]
    assert again == takes
    listed = service.http.post("/query_result", json={"task_id_list": [job["job_id"]]}).json()
    items = json.loads(listed["data"][0]["result"])
    assert [item["audio_codes"] for item in items] == codes


def test_mock_output_says_that_it_is_mock(service: Service) -> None:
    job = service.make(audio_duration=1, batch_size=1)
    assert "mock" in job["result"]["generation_info"]
    assert service.http.get("/health").json()["mock"] is True
    assert b"mock" in service.http.get(job["result"]["first_audio_path"]).content


def test_an_uploaded_song_is_repainted_and_covered(service: Service) -> None:
    source = service.make(caption="song", audio_duration=8, batch_size=1, audio_format="flac")
    before, _ = audio(service, source)
    file = service.http.get(source["result"]["first_audio_path"]).content
    answer = service.http.post(
        "/v1/music/generate",
        data={
            "task_type": "repaint", "repainting_start": "2", "repainting_end": "5",
            "audio_format": "flac", "batch_size": "1", "caption": "drums",
        },
        files={"src_audio": ("song.flac", file)},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    after, _ = audio(service, service.finish(answer.json()["job_id"]))
    assert after.shape == before.shape
    np.testing.assert_allclose(after[: 2 * 48_000], before[: 2 * 48_000], atol=2e-7)
    np.testing.assert_allclose(after[5 * 48_000 :], before[5 * 48_000 :], atol=2e-7)
    window = slice(int(2.5 * 48_000), int(4.5 * 48_000))
    assert np.abs(after[window] - before[window]).mean() > 0.01


def test_progress_moves_while_a_job_runs(service: Service) -> None:
    job_id = service.submit(caption="x", audio_duration=240, batch_size=4)
    seen: list[float] = []

    def ended() -> bool:
        job = service.job(job_id)
        if job["status"] == "running" and job["progress"]:
            seen.append(job["progress"]["fraction"])
        return job["status"] in ("succeeded", "failed")

    until(ended, "the job did not end")
    assert seen == sorted(seen)
    assert len(set(seen)) >= 2, "progress was not seen to move"
    assert all(0 <= fraction <= 1 for fraction in seen)


def test_a_long_poll_answers_at_the_next_change(service: Service) -> None:
    job_id = service.submit(caption="x", audio_duration=60)
    statuses: list[str] = []
    while not statuses or statuses[-1] not in ("succeeded", "failed"):
        answer = service.http.get(f"/v1/jobs/{job_id}", params={"wait": 25})
        statuses.append(answer.json()["status"])
    assert statuses[-1] == "succeeded"
    assert len(statuses) <= 4, "a long poll came back without a change of status"


def test_reads_do_not_fail_while_the_store_actor_restarts(service: Service) -> None:
    job_id = service.make(audio_duration=1, batch_size=1)["job_id"]
    (old,) = service.kill("ray::JobStoreActor")
    for _ in range(20):
        assert service.job(job_id)["status"] == "succeeded"
        assert service.http.get("/v1/jobs").status_code == 200  # only the actor knows the list
    assert old not in service.processes("ray::JobStoreActor")
    service.make(audio_duration=1, batch_size=1)
    # The planner was not needed for that: it registers again by itself.
    until(lambda: service.http.get("/ready").status_code == 200, "it did not become ready again")
