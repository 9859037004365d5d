"""POST /query_result and GET /v1/audio?path=: from a task to its takes."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from acestep_ray.api.upstream import query_result as query_module
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.errors import StoreUnavailable
from tests.unit.api.harness import PLAN, ApiHarness, problem_of
from tests.unit.api.upstream.tasks import data_of, query

UNKNOWN = "550e8400-e29b-41d4-a716-446655440000"


async def released(api: ApiHarness, **fields: object) -> str:
    answer = await api.http.post("/release_task", json={"prompt": "jazz", **fields})
    return str(data_of(answer)["task_id"])


async def test_a_queued_task(api: ApiHarness) -> None:
    task_id = await released(api, bpm=20)
    (state,) = await query(api, task_id)
    assert (state["task_id"], state["status"], state["progress_text"]) == (task_id, 0, "queued")
    (item,) = state["items"]
    assert (item["file"], item["wave"], item["status"]) == ("", "", 0)
    assert (item["progress"], item["stage"], item["env"]) == (0.0, "queued", "development")
    assert isinstance(item["create_time"], int) and item["create_time"] > 1_700_000_000
    assert "bpm" in item["warnings"][0]


async def test_a_running_task(api: ApiHarness) -> None:
    task_id = await released(api)
    started = await api.service.start()
    assert (await query(api, task_id))[0]["items"][0]["stage"] == "running"
    progress = Progress(stage="diffusion", step=3, total=8, fraction=0.5)
    await api.service.report(started, progress)
    (state,) = await query(api, task_id)
    assert (state["status"], state["progress_text"]) == (0, "diffusion 3/8")
    assert (state["items"][0]["progress"], state["items"][0]["stage"]) == (0.5, "diffusion")


async def test_a_succeeded_task(api: ApiHarness) -> None:
    task_id = await released(api, lyrics="la", bpm=90)
    await api.succeed()
    (state,) = await query(api, task_id)
    assert (state["status"], state["progress_text"]) == (1, "succeeded")
    first, second = state["items"]
    assert first["file"] == f"/v1/audio?path={task_id}/1.mp3"
    assert second["file"] == f"/v1/audio?path={task_id}/2.mp3"
    assert (first["prompt"], first["lyrics"], first["seed_value"]) == ("jazz", "la", "7,8")
    assert first["metas"] == {
        "bpm": 90,
        "duration": "N/A",
        "genres": "N/A",
        "keyscale": "N/A",
        "timesignature": "N/A",
        "prompt": "jazz",
        "lyrics": "la",
    }
    assert (first["dit_model"], first["lm_model"]) == ("acestep-v15-turbo", "")
    assert (first["progress"], first["stage"], first["status"]) == (1.0, "succeeded", 1)
    assert "Steps: 8" in first["generation_info"] and first["wave"] == first["audio_codes"] == ""


async def test_a_planned_task(api: ApiHarness) -> None:
    task_id = await released(api, thinking=True)
    await api.succeed(plan=PLAN)
    first = (await query(api, task_id))[0]["items"][0]
    assert first["prompt"] == "A calm tune." and first["metas"]["prompt"] == "jazz"
    assert first["metas"]["bpm"] == 97 and first["metas"]["keyscale"] == "D minor"
    assert first["metas"]["duration"] == 30.0 and first["metas"]["timesignature"] == "3"
    assert first["lm_model"] == "acestep-5Hz-lm-1.7B"
    assert first["audio_codes"] == "<|audio_code_5|><|audio_code_63999|>"
    assert "Memory ran short." in first["warnings"]


async def test_each_take_of_a_planned_task_has_its_codes(api: ApiHarness) -> None:
    """Sent back as audio_code_string, with the seeds and metas, they make that take again."""
    task_id = await released(api, thinking=True)
    await api.succeed(plan=PLAN.model_copy(update={"take_codes": (PLAN.codes, (1, 2))}))
    items = (await query(api, task_id))[0]["items"]
    assert [item["audio_codes"] for item in items] == [
        "<|audio_code_5|><|audio_code_63999|>", "<|audio_code_1|><|audio_code_2|>",
    ]  # fmt: skip
    assert items[0]["metas"] == items[1]["metas"]


async def test_a_failed_task(api: ApiHarness) -> None:
    task_id = await released(api)
    await api.service.finish(await api.service.start(), None)
    (state,) = await query(api, task_id)
    (item,) = state["items"]
    assert (state["status"], item["status"], item["stage"]) == (2, 2, "failed")
    assert item["error"] == "The decoder ran out of memory." and item["progress"] == 0.0
    assert item["error_code"] == "out_of_memory"


@pytest.mark.parametrize("task_id", [UNKNOWN, "1234", "../x", ""])
async def test_nobody_polls_for_ever_for_a_task_that_does_not_exist(
    api: ApiHarness, task_id: str
) -> None:
    (state,) = await query(api, task_id)
    assert (state["task_id"], state["status"]) == (task_id, 2)
    assert state["items"][0]["error"] == "There is no such task."


async def test_a_deleted_task(api: ApiHarness) -> None:
    task_id = await released(api)
    await api.http.delete(f"/v1/jobs/{task_id}")
    (state,) = await query(api, task_id)
    assert state["status"] == 2 and "deleted" in state["items"][0]["error"]


async def test_many_tasks_in_the_order_of_the_list(api: ApiHarness) -> None:
    ids = [await released(api) for _ in range(3)]
    asked = [ids[2], UNKNOWN, ids[0], ids[1].upper()]
    states = await query(api, *asked)
    assert [state["task_id"] for state in states] == asked
    assert [state["status"] for state in states] == [0, 2, 0, 0]


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize(
    "wrap", [json.dumps, ",".join, lambda ids: ids[0], lambda ids: f'"{ids[0]}"']
)
async def test_the_list_as_text(api: ApiHarness, form: bool, wrap: Any) -> None:
    ids = [await released(api), UNKNOWN]
    sent = {"task_id_list": wrap(ids)}
    answer = (
        await api.http.post("/query_result", data=sent)
        if form
        else await api.http.post("/query_result", json=sent)
    )
    states = data_of(answer)
    assert [state["task_id"] for state in states] == ids[: len(states)] and states[0]["status"] == 0


async def test_the_list_in_a_multipart_form(api: ApiHarness) -> None:
    task_id = await released(api)
    files = {"task_id_list": (None, json.dumps([task_id]))}
    assert data_of(await api.http.post("/query_result", files=files))[0]["status"] == 0


@pytest.mark.parametrize("multipart", [True, False])
@pytest.mark.parametrize(
    "names",
    [["task_id_list[]"] * 3, ["task_id_list"] * 3, ["taskIdList[]"] * 3, ["task_id"] * 3,
     ["task_id_list[0]", "task_id_list[1]", "task_id_list[2]"]],
)  # fmt: skip
async def test_the_list_as_a_field_several_times(
    api: ApiHarness, names: list[str], multipart: bool
) -> None:
    """As PHP, jQuery and HTML forms write a list."""
    ids = [await released(api), UNKNOWN, await released(api)]
    answer = (
        await api.http.post(
            "/query_result", files=[(n, (None, i)) for n, i in zip(names, ids, strict=True)]
        )
        if multipart
        else await api.http.post(
            "/query_result",
            content=urlencode(list(zip(names, ids, strict=True))),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    )
    assert [state["task_id"] for state in data_of(answer)] == ids


async def test_one_task_in_brackets(api: ApiHarness) -> None:
    task_id = await released(api)
    for name in ("task_id_list[]", "task_id"):
        for sent in (task_id, json.dumps([task_id])):
            (state,) = data_of(await api.http.post("/query_result", data={name: sent}))
            assert (state["task_id"], state["status"]) == (task_id, 0)


async def test_no_list(api: ApiHarness) -> None:
    assert data_of(await api.http.post("/query_result", json={})) == []
    assert data_of(await api.http.post("/query_result", json={"task_id_list": "[]"})) == []


@pytest.mark.parametrize("value", [{"a": 1}, "{", 5, '{"a": 1}', ["x"] * 501])
async def test_a_list_that_is_none(api: ApiHarness, value: object) -> None:
    answer = await api.http.post("/query_result", json={"task_id_list": value})
    assert "task_id_list" in problem_of(answer, 400, "malformed_body")["detail"]


async def test_a_store_that_is_away_is_no_lost_task(api: ApiHarness) -> None:
    task_id = await released(api)
    api.service.fail = StoreUnavailable("gone")
    answer = await api.http.post("/query_result", json={"task_id_list": [task_id]})
    problem_of(answer, 503, "unavailable")


@pytest.mark.parametrize(
    "path",
    ["{}/1.mp3", "/{}/1.mp3", "/tmp/api_audio/{}/1.mp3", "/v1/audio/{}/1.mp3",
     "http://music/v1/audio?path={}/1.mp3", "{}%2F1.mp3"],
)  # fmt: skip
async def test_a_take_by_its_path(api: ApiHarness, path: str) -> None:
    path = path.format(await self_made(api))
    answer = await api.http.get("/v1/audio", params={"path": path})
    assert (answer.status_code, answer.content) == (200, b"one")
    assert answer.headers["content-type"] == "audio/mpeg"


async def self_made(api: ApiHarness) -> str:
    await released(api)
    return await api.succeed()


async def test_the_file_of_a_result_is_fetched_as_the_native_route_returns_it(
    api: ApiHarness,
) -> None:
    job_id = await self_made(api)
    url = (await query(api, job_id))[0]["items"][0]["file"]
    native = f"/v1/audio/{job_id}/1.mp3"
    for headers in ({}, {"Range": "bytes=1-"}):
        headers |= {"X-Request-ID": "same"}
        ours, theirs = [await api.http.get(one, headers=headers) for one in (url, native)]
        assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
        assert dict(ours.headers) == dict(theirs.headers)
    etag = theirs.headers["etag"]
    assert (await api.http.get(url, headers={"If-None-Match": etag})).status_code == 304
    assert (await api.http.get(url, headers={"Range": "bytes=9-"})).status_code == 416
    head = await api.http.head(url)
    assert head.status_code == 200 and head.headers["content-length"] == "3"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "1.mp3", "", "x/1.mp3", "../{}/1.mp3", "{}", "{}/1.mp3/x"]
)
async def test_paths_outside(api: ApiHarness, path: str) -> None:
    path = path.format(await self_made(api))
    answer = await api.http.get("/v1/audio", params={"path": path})
    problem_of(answer, 403, "outside_audio")


async def test_takes_that_do_not_exist(api: ApiHarness) -> None:
    job_id = await self_made(api)
    answer = await api.http.get("/v1/audio", params={"path": f"{job_id}/9.mp3"})
    problem_of(answer, 404, "audio_not_found")
    answer = await api.http.get("/v1/audio", params={"path": f"{UNKNOWN}/1.mp3"})
    problem_of(answer, 404, "job_not_found")
    problem = problem_of(await api.http.get("/v1/audio"), 422, "invalid_value")
    assert "path" in problem["detail"]


async def test_a_task_that_is_listed_twice_is_returned_once(api: ApiHarness) -> None:
    task_id = await released(api)
    states = await query(api, task_id, UNKNOWN, task_id)
    assert [state["task_id"] for state in states] == [task_id, UNKNOWN]


async def test_results_that_are_too_long_together(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = []
    for _ in range(3):
        ids.append(await released(api, lyrics="la " * 100))
        await api.succeed()
    (state,) = await query(api, ids[0])
    monkeypatch.setattr(query_module, "LONGEST_RESULT", 2 * len(state["result"]) + 100)
    assert len(await query(api, *ids[:2])) == 2
    answer = await api.http.post("/query_result", json={"task_id_list": ids})
    assert "fewer than 3 at a time" in problem_of(answer, 400, "malformed_body")["detail"]


async def test_one_bad_entry_does_not_hide_the_other_tasks(api: ApiHarness) -> None:
    """A client that keeps a wrong value in its list would poll for all its tasks forever."""
    task_id = data_of(await api.http.post("/release_task", json={"prompt": "jazz"}))["task_id"]
    ids = [None, {"task_id": task_id}, task_id, [1], 2.5, True, "no"]
    for sent in (ids, json.dumps(ids)):
        states = data_of(await api.http.post("/query_result", json={"task_id_list": sent}))
        assert [state["status"] for state in states] == [2, 2, 0, 2, 2, 2, 2]
        assert states[2]["task_id"] == task_id and states[0]["task_id"] == "null"
        assert "no such task" in states[0]["progress_text"]
