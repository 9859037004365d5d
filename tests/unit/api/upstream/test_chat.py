"""POST /v1/chat/completions as one object, and what comes back."""

import asyncio
import json

import pytest

from acestep_ray.api.upstream import chat_completions
from acestep_ray.artifacts.errors import ArtifactMissing
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Delete
from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import PLAN, ApiHarness, problem_of
from tests.unit.api.upstream.asgi import Client
from tests.unit.api.upstream.chats import (
    PATH,
    audio_in,
    chat,
    complete,
    events_of,
    newest,
    spec_of,
    until_queued,
)

TAGGED = "<prompt>calm folk</prompt>\n<lyrics>[Verse]\nThe sea\n</lyrics>"
KEY = "secret-key"


async def test_a_completion(api: ApiHarness) -> None:
    fields = chat(TAGGED, model="acestep/acestep-v15-turbo", max_tokens=5, stop="x")
    answer = await complete(api, fields, (b"one take",))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["location"] == f"/v1/jobs/{body['job_id']}"
    assert body["object"] == "chat.completion" and body["created"] > 1_700_000_000
    assert body["id"] == "chatcmpl-" + body["job_id"].replace("-", "")[:24]
    assert body["model"] == "acestep/acestep-v15-turbo"
    assert set(body["usage"].values()) == {0}
    (choice,) = body["choices"]
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert audio_in(choice["message"]) == [b"one take"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"] == (
        "## Metadata\n**Caption:** calm folk\n**Language:** en\n\n## Lyrics\n[Verse]\nThe sea"
    )
    assert body["warnings"] == []


@pytest.mark.parametrize("takes", [(b"a",), (b"ab", b"abc"), (b"", b"abcd" * 100_000, b"x")])
async def test_all_takes_come_back(api: ApiHarness, takes: tuple[bytes, ...]) -> None:
    answer = await complete(api, chat(TAGGED, batch_size=len(takes)), takes)
    assert answer.headers["content-length"] == str(len(answer.content))
    assert audio_in(answer.json()["choices"][0]["message"]) == [*takes]


async def test_the_metadata_of_the_plan(api: ApiHarness) -> None:
    call = asyncio.create_task(api.http.post(PATH, json=chat(TAGGED, thinking=True)))
    await until_queued(api)
    await api.succeed((b"x",), PLAN)
    content = (await call).json()["choices"][0]["message"]["content"]
    for line in (
        "**BPM:** 97",
        "**Key:** D minor",
        "**Time Signature:** 3",
        "**Duration:** 30.0 s",
    ):
        assert line in content


async def test_an_instrumental_without_a_caption(api: ApiHarness) -> None:
    answer = await complete(api, chat("", lyrics="[inst]"))
    content = answer.json()["choices"][0]["message"]["content"]
    assert content == "Music generated successfully."


async def test_one_take_is_made_unless_more_are_asked_for(api: ApiHarness) -> None:
    assert len((await spec_of(api, chat(TAGGED))).decode.seeds) == 1
    assert len((await spec_of(api, chat(TAGGED, batch_size=3))).decode.seeds) == 3


async def test_what_is_asked_for_reaches_the_job(api: ApiHarness) -> None:
    config = {
        "duration": 40,
        "bpm": 100,
        "vocal_language": "de",
        "format": "flac",
        "key_scale": "Am",
        "time_signature": "3/4",
        "instrumental": None,
    }
    lm = {"thinking": True, "temperature": 0.4, "top_p": 0.8, "top_k": 30}
    fields = chat(TAGGED, audio_config=config, seed="42", guidance_scale=5, **lm)
    spec = await spec_of(api, fields)
    song, plan = spec.decode, spec.plan
    assert (song.caption, song.lyrics) == ("calm folk", "[Verse]\nThe sea")
    assert (song.duration, song.bpm, song.key_scale) == (40.0, 100, "A minor")
    assert (song.vocal_language, song.audio_format, song.time_signature) == ("de", "flac", "3")
    assert (song.seeds, song.guidance_scale) == ((42,), 5.0)
    assert plan is not None
    assert (plan.temperature, plan.top_p, plan.top_k) == (0.4, 0.8, 30)


async def test_fields_that_are_null(api: ApiHarness) -> None:
    """Libraries send every field that they know."""
    config = {"bpm": 100, "duration": None}
    empty: dict[str, object] = dict.fromkeys(("bpm", "batch_size", "lyrics", "thinking", "seed"))
    song = (await spec_of(api, chat(TAGGED, audio_config=config, **empty))).decode
    assert (song.bpm, len(song.seeds), song.lyrics) == (100, 1, "[Verse]\nThe sea")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"5", b"\xff{}", b'{"messages": NaN'])
async def test_bodies_that_are_not_a_json_object(api: ApiHarness, content: bytes) -> None:
    problem_of(await api.http.post(PATH, content=content), 400, "malformed_body")


async def test_other_refusals(api: ApiHarness) -> None:
    answer = await api.http.post(PATH, content=b"{}", headers={"Content-Encoding": "gzip"})
    problem_of(answer, 415, "unsupported_media_type")
    answer = await api.http.post(PATH, json=chat(TAGGED), headers={"Idempotency-Key": "\x7f"})
    problem_of(answer, 422, "invalid_idempotency_key")
    problem_of(await api.http.post(PATH, json=chat("x", lyrics="x" * 20_001)), 422, "invalid_value")


async def test_a_full_queue(make_api: MakeHarness) -> None:
    api = await make_api(limits={"queue": 1})
    await api.submit()
    answer = await api.http.post(PATH, json=chat(TAGGED))
    problem_of(answer, 429, "queue_full")
    assert answer.headers["retry-after"]


async def test_a_job_that_fails(api: ApiHarness) -> None:
    call = asyncio.create_task(api.http.post(PATH, json=chat(TAGGED)))
    await until_queued(api)
    record = await api.service.start()
    await api.service.finish(record, None)
    problem = problem_of(await call, 500, "job_failed")
    assert problem["detail"] == "The decoder ran out of memory."
    assert (problem["job_id"], problem["error_code"]) == (record.job_id, "out_of_memory")


@pytest.mark.parametrize("end", [Cancel, Delete])
async def test_a_job_that_somebody_ends(api: ApiHarness, end: type[Cancel] | type[Delete]) -> None:
    call = asyncio.create_task(api.http.post(PATH, json=chat(TAGGED)))
    await until_queued(api)
    job_id = (await newest(api)).job_id
    await (api.service.cancel(job_id) if end is Cancel else api.service.delete(job_id))
    problem_of(await call, 500, "job_failed")


async def test_takes_that_are_gone(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def size(artifacts: Artifacts, key: str) -> int:
        raise ArtifactMissing(key)

    monkeypatch.setattr(Artifacts, "size", size)
    answer = await complete(api, chat(TAGGED))
    problem_of(answer, 404, "audio_not_found")


async def test_a_job_that_takes_too_long_goes_on(make_api: MakeHarness) -> None:
    api = await make_api(limits={"completion_wait": 0.05})
    answer = await api.http.post(PATH, json=chat(TAGGED))
    problem = problem_of(answer, 504, "still_running")
    assert answer.headers["location"] == f"/v1/jobs/{problem['job_id']}"
    assert await api.queued() == 1
    job_id = await api.succeed()
    assert job_id == problem["job_id"]


@pytest.mark.parametrize("how", ["disconnect", "cancel"])
@pytest.mark.parametrize("key", [None, "a-key"])
async def test_a_client_that_disconnects(api: ApiHarness, how: str, key: str | None) -> None:
    """The result would be lost with the connection, so nobody works for it; with a key, the client
    can ask again."""
    headers = {"idempotency_key": key} if key else {}
    client = Client(api, PATH, chat(TAGGED), **headers)
    await until_queued(api)
    if how == "disconnect":
        client.hang_up()
    else:
        client.task.cancel()
    await client.end()
    if key is None:
        await _until_cancelled(api)
        return
    for _ in range(100):
        await asyncio.sleep(0)
    assert await api.queued() == 1
    again = asyncio.create_task(
        api.http.post(PATH, json=chat(TAGGED), headers={"Idempotency-Key": key})
    )
    await api.succeed((b"one",))
    answer = await again
    assert answer.headers["idempotency-replayed"] == "true"
    assert audio_in(answer.json()["choices"][0]["message"]) == [b"one"]


async def test_a_client_that_disconnects_while_its_job_is_being_queued(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, asked, go = api.service.submit, asyncio.Event(), asyncio.Event()

    async def slow(order: object) -> object:
        asked.set()
        await go.wait()
        return await submit(order)  # type: ignore[arg-type]

    monkeypatch.setattr(api.service, "submit", slow)
    client = Client(api, PATH, chat(TAGGED))
    await asked.wait()
    client.task.cancel()
    go.set()
    await client.end()
    await _until_cancelled(api)


async def _until_cancelled(api: ApiHarness) -> None:
    async with asyncio.timeout(60):
        while (await newest(api)).status is not Status.FAILED:
            await asyncio.sleep(0.001)
    assert (await newest(api)).error_code is ErrorCode.CANCELLED


async def test_a_request_that_is_repeated_with_its_key(api: ApiHarness) -> None:
    headers = {"Idempotency-Key": "k"}
    first = asyncio.create_task(api.http.post(PATH, json=chat(TAGGED), headers=headers))
    await until_queued(api)
    await api.succeed((b"one",))
    job_id = (await first).json()["job_id"]
    # Whether it is streamed does not matter: it is the same song.
    fields = {**chat(TAGGED), "stream": False}
    again = await api.http.post(PATH, json=fields, headers=headers)
    assert again.json()["job_id"] == job_id
    other = await api.http.post(PATH, json=chat(TAGGED, seed=1), headers=headers)
    problem_of(other, 422, "idempotency_key_reused")


async def test_the_job_store_is_away_for_a_while(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_completions, "_PAUSE", 0.001)
    failures = [StoreUnavailable("away"), StoreUnavailable("away")]
    wait = api.service.wait

    async def failing(*args: object) -> object:
        if failures:
            raise failures.pop()
        return await wait(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(api.service, "wait", failing)
    assert (await complete(api, chat(TAGGED))).status_code == 200
    assert failures == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_finished_song_does_not_need_what_is_deployed(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """The job store may restart at this moment."""
    call = asyncio.create_task(api.http.post(PATH, json=chat(TAGGED, stream=stream)))
    await until_queued(api)

    async def deployed(*, at_once: bool = False) -> Deployed:
        raise StoreUnavailable("away")

    monkeypatch.setattr(api.service, "deployed", deployed)
    await api.succeed((b"one",))
    answer = await call
    assert answer.status_code == 200
    if stream:
        assert events_of(answer.text)[-1]["choices"][0]["finish_reason"] == "stop"
    else:
        assert audio_in(answer.json()["choices"][0]["message"]) == [b"one"]


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Authorization": f"Bearer {KEY}"}, None),
        ({"Authorization": KEY}, None),
        ({"X-API-Key": KEY}, None),
        ({}, KEY),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_the_key(
    make_api: MakeHarness, headers: dict[str, str], token: str | None, prefix: str
) -> None:
    api = await make_api(api_key=KEY)
    fields = {**chat(TAGGED), "ai_token": token}
    call = asyncio.create_task(api.http.post(prefix + PATH, json=fields, headers=headers))
    await until_queued(api)
    await api.succeed((b"one",))
    answer = await call
    assert answer.status_code == 200
    assert KEY not in (await api.stored(answer.json()["job_id"])).model_dump_json()
    assert KEY not in json.dumps(answer.json())
