"""Polling, waiting, listing, cancelling and deleting jobs."""

import asyncio
import json
import uuid
from typing import Any

import pytest

from acestep_ray.api.routes.job_view import UNREADABLE
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.operations import Submit
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import PLAN, WRITTEN, ApiHarness, field_errors, problem_of

FIELDS = {
    "job_id", "status", "created_at", "started_at", "finished_at", "queue_position", "eta_seconds",
    "progress", "result", "error", "error_code", "warnings", "attempts", "expires_at",
    "task_type", "caption", "takes",
}  # fmt: skip
LISTED = FIELDS - {"result", "warnings"}


async def submit(api: ApiHarness, **fields: object) -> str:
    answer = await api.submit(**fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job_id"])


async def job(api: ApiHarness, job_id: str, query: str = "") -> dict[str, Any]:
    answer = await api.http.get(f"/v1/jobs/{job_id}{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) == FIELDS
    return found


async def test_the_answer_to_a_submit(api: ApiHarness) -> None:
    first, second = await api.submit(), await api.submit()
    assert first.json()["status"] == "queued"
    assert [a.json()["queue_position"] for a in (first, second)] == [1, 2]
    assert set(first.json()) == {"job_id", "status", "queue_position"}
    assert first.headers["location"] == f"/v1/jobs/{first.json()['job_id']}"
    assert int(first.headers["retry-after"]) >= 1
    followed = await api.http.get(first.headers["location"])
    assert followed.json()["job_id"] == first.json()["job_id"]


async def test_a_queued_job(api: ApiHarness) -> None:
    await submit(api)
    answer = await api.http.get(f"/v1/jobs/{await submit(api)}")
    found = answer.json()
    wait = 2 * api.settings.defaults.job_seconds  # nothing was measured yet
    assert (found["status"], found["queue_position"], found["eta_seconds"]) == ("queued", 2, wait)
    assert found["started_at"] is found["finished_at"] is found["result"] is found["error"] is None
    assert found["created_at"] > 1.7e9 and found["attempts"] == 0
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.headers["cache-control"] == "no-store"


async def test_a_running_job(api: ApiHarness) -> None:
    job_id = await submit(api)
    await api.service.start(Progress(stage="diffusion", step=2, total=8, fraction=0.3))
    found = await job(api, job_id)
    assert (found["status"], found["queue_position"], found["eta_seconds"]) == ("running", 0, None)
    assert found["progress"] == {"stage": "diffusion", "step": 2, "total": 8, "fraction": 0.3}
    assert found["started_at"] >= found["created_at"] and found["attempts"] == 1


async def test_a_succeeded_job(api: ApiHarness) -> None:
    job_id = await submit(api)
    await api.succeed()
    answer = await api.http.get(f"/v1/jobs/{job_id}")
    found = answer.json()
    assert (found["status"], found["queue_position"], found["error"]) == ("succeeded", 0, None)
    assert found["finished_at"] >= found["started_at"] and found["progress"] is None
    assert found["expires_at"] == found["finished_at"] + api.settings.jobs.keep
    assert "retry-after" not in answer.headers
    paths = [f"/v1/audio/{job_id}/1.mp3", f"/v1/audio/{job_id}/2.mp3"]
    assert found["result"] == {
        "audio_paths": paths,
        "first_audio_path": paths[0],
        "second_audio_path": paths[1],
        "generation_info": "Steps: 8, Scale: 7.0",
        "status_message": "✅ Generation completed successfully!",
        "seed_value": "7,8",
        "retake_seed_value": None,
        "metas": {},
        "bpm": None,
        "duration": None,
        "take_seconds": 30.0,
        "genres": None,
        "keyscale": None,
        "timesignature": None,
        "audio_codes": None,
        "take_audio_codes": None,
        "lm_caption": None,
        "lm_lyrics": None,
        "vocal_language": "en",
        "lrc": None,
        "scores": None,
    }


async def test_the_seeds_of_a_retake_come_back(api: ApiHarness) -> None:
    """Whoever wants the same retake again sends them."""
    answer = await api.submit(retake_variance=0.1, batch_size=2)
    job_id = answer.json()["job_id"]
    drawn = (await api.stored(job_id)).decode.retake_seeds
    await api.succeed()
    result = (await job(api, job_id))["result"]
    assert result["retake_seed_value"] == ",".join(map(str, drawn))
    spec = await api.spec(
        retake_variance=0.1, batch_size=2, retake_seed=result["retake_seed_value"]
    )
    assert spec.decode.retake_seeds == drawn


async def test_one_take(api: ApiHarness) -> None:
    job_id = await submit(api, batch_size=1)
    await api.succeed([b"one"])
    result = (await job(api, job_id))["result"]
    assert result["second_audio_path"] is None and len(result["audio_paths"]) == 1


async def test_what_the_lm_wrote(api: ApiHarness) -> None:
    job_id = await submit(api, caption=None, sample_query="rain", bpm=90, use_5hz_lm=True)
    text = WRITTEN.text
    assert text
    metadata = text.metadata.model_copy(update={"language": "fr"})
    french = text.model_copy(update={"metadata": metadata})
    await api.succeed(plan=WRITTEN.model_copy(update={"text": french}))
    result = (await job(api, job_id))["result"]
    assert (result["lm_caption"], result["lm_lyrics"]) == (text.caption, text.lyrics)
    assert result["vocal_language"] == "fr"
    assert (result["metas"]["bpm"], result["metas"]["keyscale"]) == (90, "D minor")


async def test_what_the_lm_planned(api: ApiHarness) -> None:
    job_id = await submit(api, use_5hz_lm=True)
    await api.succeed(plan=PLAN)
    found = await job(api, job_id)
    result = found["result"]
    assert result["metas"] == {
        "bpm": 97, "duration": 30.0, "genres": "N/A", "keyscale": "D minor", "timesignature": "3",
    }  # fmt: skip
    assert (result["bpm"], result["duration"], result["genres"]) == (97, 30.0, None)
    assert (result["keyscale"], result["timesignature"]) == ("D minor", "3")
    assert result["audio_codes"] == "<|audio_code_5|><|audio_code_63999|>"
    assert (result["lm_caption"], result["lm_lyrics"]) == ("A calm tune.", None)
    assert found["warnings"] == ["Memory ran short."]
    replay = await api.spec(audio_code_string=result["audio_codes"], metas=result["metas"])
    assert replay.decode.codes == (PLAN.codes,) and replay.decode.key_scale == "D minor"
    # Both takes were made from them.
    assert result["take_audio_codes"] == [result["audio_codes"]] * 2


async def test_the_codes_of_each_take(api: ApiHarness) -> None:
    job_id = await submit(api, use_5hz_lm=True)
    codes = (PLAN.codes, (1, 2))
    await api.succeed(plan=PLAN.model_copy(update={"take_codes": codes}))
    result = (await job(api, job_id))["result"]
    assert result["take_audio_codes"] == [
        "<|audio_code_5|><|audio_code_63999|>", "<|audio_code_1|><|audio_code_2|>",
    ]  # fmt: skip
    assert result["audio_codes"] == ";".join(result["take_audio_codes"])
    for sent in (result["audio_codes"], result["take_audio_codes"]):
        replay = await api.spec(audio_code_string=sent, metas=result["metas"])
        assert replay.decode.codes == codes and len(replay.decode.seeds) == 2


async def test_what_the_user_gave_wins(api: ApiHarness) -> None:
    job_id = await submit(api, use_5hz_lm=True, bpm=120, key_scale="C", time_signature="4/4")
    await api.succeed(plan=PLAN.model_copy(update={"codes": ()}))
    result = (await job(api, job_id))["result"]
    assert (result["bpm"], result["keyscale"], result["timesignature"]) == (120, "C major", "4")
    assert result["metas"]["bpm"] == 120 and result["metas"]["keyscale"] == "C major"
    assert result["audio_codes"] is result["take_audio_codes"] is None


async def test_absolute_paths(make_api: MakeHarness) -> None:
    api = await make_api(public_url="https://music.example/api/")
    answer = await api.submit()
    job_id = answer.json()["job_id"]
    assert answer.headers["location"] == f"https://music.example/api/v1/jobs/{job_id}"
    await api.succeed()
    path = (await job(api, job_id))["result"]["first_audio_path"]
    assert path == f"https://music.example/api/v1/audio/{job_id}/1.mp3"


async def test_a_failed_job(api: ApiHarness) -> None:
    job_id = await submit(api)
    await api.service.finish(await api.service.start(), None)
    found = await job(api, job_id)
    assert (found["status"], found["error_code"]) == ("failed", "out_of_memory")
    assert found["error"] == "The decoder ran out of memory." and found["result"] is None


@pytest.mark.parametrize(
    "job_id",
    [
        "4df584e4-7a42-4d2d-a5fb-ccf921342bea",
        "x",
        "a" * 5000,
        "%00",
        "..",
        "{%7B}",
        "urn:uuid:1",
        "é",
    ],
)
async def test_ids_that_are_none(api: ApiHarness, job_id: str) -> None:
    for method, path in (
        ("GET", "/v1/jobs/{}"),
        ("DELETE", "/v1/jobs/{}"),
        ("POST", "/v1/jobs/{}/cancel"),
        ("GET", "/v1/audio/{}/1.mp3"),
    ):
        if job_id == "..":  # clients normalise it in the path before they send it
            job_id = "%2e%2e"
        answer = await api.http.request(method, path.format(job_id))
        problem_of(answer, 404, "job_not_found")


async def test_a_job_that_another_release_wrote_is_listed_among_the_others(
    api: ApiHarness,
) -> None:
    readable = (await api.submit()).json()["job_id"]
    other = str(uuid.uuid4())
    await api.service.submit(Submit(other, '{"task": "stems"}', needs_plan=False))
    job = (await api.http.get(f"/v1/jobs/{other}")).json()
    assert (job["status"], job["queue_position"], job["result"]) == ("queued", 2, None)
    assert job["warnings"] == [UNREADABLE]
    assert [job[name] for name in ("task_type", "caption", "takes")] == [None] * 3
    page = (await api.http.get("/v1/jobs")).json()["jobs"]
    assert [job["job_id"] for job in page] == [other, readable]
    assert [page[0][name] for name in ("task_type", "caption", "takes")] == [None] * 3
    whole = (await api.http.get("/v1/jobs?full=yes")).json()["jobs"]
    assert [job["warnings"] for job in whole] == [[UNREADABLE], []]


async def test_ids_in_capitals(api: ApiHarness) -> None:
    job_id = await submit(api)
    assert (await job(api, job_id.upper()))["job_id"] == job_id


async def test_waiting_for_a_change(api: ApiHarness) -> None:
    job_id = await submit(api)
    waiting = asyncio.create_task(job(api, job_id, "?wait=60"))
    while len(api.service.waits) < 1:
        await asyncio.sleep(0)
    await api.service.start()
    async with asyncio.timeout(10):
        assert (await waiting)["status"] == "running"
    waiting = asyncio.create_task(job(api, job_id, "?wait=60"))
    while len(api.service.waits) < 2:
        await asyncio.sleep(0)
    await api.http.post(f"/v1/jobs/{job_id}/cancel")
    async with asyncio.timeout(10):
        assert (await waiting)["status"] == "failed"
        assert (await job(api, job_id, "?wait=60"))["status"] == "failed"


async def test_waiting_in_vain(api: ApiHarness) -> None:
    job_id = await submit(api)
    for wait in ("0", "0.01", ""):
        assert (await job(api, job_id, f"?wait={wait}"))["status"] == "queued"


@pytest.mark.parametrize("wait", ["-1", "60.5", "x", "nan", "inf", "1e999"])
async def test_waits_that_are_none(api: ApiHarness, wait: str) -> None:
    job_id = await submit(api)
    answer = await api.http.get(f"/v1/jobs/{job_id}?wait={wait}")
    (entry,) = problem_of(answer, 422, "invalid_value")["errors"]
    assert entry == {
        "field": "wait",
        "detail": f"wait must be a number of seconds from 0 to 60; got '{wait}'.",
        "legal": "a number of seconds from 0 to 60",
    }


async def test_cancel(api: ApiHarness) -> None:
    job_id = await submit(api)
    for _ in range(2):
        answer = await api.http.post(f"/v1/jobs/{job_id}/cancel")
        assert answer.status_code == 200 and set(answer.json()) == FIELDS
        assert (answer.json()["status"], answer.json()["error_code"]) == ("failed", "cancelled")
    ended = await submit(api)
    await api.succeed()
    problem_of(await api.http.post(f"/v1/jobs/{ended}/cancel"), 409, "already_ended")


async def test_delete(api: ApiHarness) -> None:
    job_id = await submit(api)
    answer = await api.http.delete(f"/v1/jobs/{job_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    for method, path in (
        ("DELETE", f"/v1/jobs/{job_id}"),
        ("GET", f"/v1/jobs/{job_id}"),
        ("POST", f"/v1/jobs/{job_id}/cancel"),
        ("GET", f"/v1/audio/{job_id}/1.mp3"),
    ):
        problem_of(await api.http.request(method, path), 410, "job_expired")


async def test_listing(api: ApiHarness) -> None:
    ids = [await submit(api) for _ in range(5)]
    await api.succeed()
    seen, cursor = [], ""
    for page in range(3):
        answer = (await api.http.get(f"/v1/jobs?limit=2&cursor={cursor}")).json()
        assert all(set(one) == LISTED for one in answer["jobs"])
        seen += [one["job_id"] for one in answer["jobs"]]
        cursor = answer["next_cursor"]
        assert (cursor is None) == (page == 2)
    assert seen == ids[::-1]
    succeeded = (await api.http.get("/v1/jobs?status=succeeded")).json()
    assert [one["job_id"] for one in succeeded["jobs"]] == ids[:1]
    everything = (await api.http.get("/v1/jobs?status=&limit=&cursor=")).json()
    assert len(everything["jobs"]) == 5 and everything["next_cursor"] is None
    assert (await api.http.get("/v1/jobs?limit=200")).status_code == 200


async def test_a_list_is_short(api: ApiHarness) -> None:
    """The jobs' plans and results are not even read."""
    caption = "A very long caption\n" * 100
    job_id = await submit(api, caption=caption, use_5hz_lm=True, batch_size=2, task_type=None)
    await api.succeed(plan=PLAN.model_copy(update={"codes": tuple(range(3000))}))
    (short,) = (await api.http.get("/v1/jobs")).json()["jobs"]
    whole = await job(api, job_id)
    assert len(short["caption"]) == 100
    assert short["caption"].startswith("A very long caption A very") and short["caption"][-1] == "…"
    assert (short["task_type"], short["takes"]) == ("text2music", 2)
    assert whole["caption"] == caption, "the job itself has all of it"
    assert short | {"caption": caption} == {name: whole[name] for name in LISTED}
    assert len(json.dumps(short)) < 700 < len(json.dumps(whole))
    for full in ("true", "1"):
        answer = await api.http.get(f"/v1/jobs?full={full}")
        assert answer.json()["jobs"] == [whole]
    assert (await api.http.get("/v1/jobs?full=")).json()["jobs"] == [short]
    for text in ("漢" * 100, ""):
        await submit(api, caption=text, lyrics="la")
        assert (await api.http.get("/v1/jobs?limit=1")).json()["jobs"][0]["caption"] == text


async def test_what_was_cancelled_is_told_from_what_failed(api: ApiHarness) -> None:
    failed = await submit(api)
    await api.service.finish(await api.service.start(), None)
    cancelled = [await submit(api) for _ in range(3)]
    for job_id in cancelled:
        await api.http.post(f"/v1/jobs/{job_id}/cancel")
    await submit(api)

    async def listed(query: str) -> list[str]:
        answer = await api.http.get(f"/v1/jobs?{query}")
        return [one["job_id"] for one in answer.json()["jobs"]]

    assert await listed("error_code=cancelled") == cancelled[::-1]
    assert await listed("status=failed&error_code=cancelled") == cancelled[::-1]
    assert await listed("error_code=out_of_memory") == [failed]
    assert await listed("error_code=!cancelled") == await listed("error_code=%21cancelled")
    assert await listed("error_code=!cancelled&status=failed") == [failed]
    assert await listed("error_code=!out_of_memory") == cancelled[::-1]
    assert await listed("error_code=timeout") == await listed("error_code=timeout&full=1") == []
    assert await listed("status=succeeded&error_code=cancelled") == []
    assert len(await listed("error_code=&status=failed")) == 4
    page = (await api.http.get("/v1/jobs?error_code=cancelled&limit=2")).json()
    rest = await listed(f"error_code=cancelled&limit=2&cursor={page['next_cursor']}")
    assert rest == cancelled[:1]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=201", "limit=x", "limit=1.5", "status=done", "status=cancelled",
        "error_code=x", "error_code=!", "error_code=!!cancelled", "error_code=Cancelled", "full=x",
        "cursor=!", "cursor=x", "cursor=LTE", "cursor=%ff", "cursor=" + "OTk5" * 20, "cursor=w7I",
    ],
)  # fmt: skip
async def test_lists_that_cannot_be_asked_for(api: ApiHarness, query: str) -> None:
    name = query.partition("=")[0]
    answer = await api.http.get(f"/v1/jobs?{query}")
    (detail,) = field_errors(answer).values()
    (entry,) = answer.json()["errors"]
    assert entry["field"] == name and detail.startswith(f"{name} must be {entry['legal']}; got ")
