"""Chat completions as server-sent events: their order, the beat, and clients that disconnect."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest

from acestep_ray.api.upstream import chat_completions
from acestep_ray.api.upstream.chat_answer import Completion, Song, TakeData
from acestep_ray.artifacts.errors import ArtifactMissing
from acestep_ray.artifacts.store import Artifacts, StorageError
from acestep_ray.decoder.events import Take
from acestep_ray.jobs.job import ErrorCode, Status
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import ApiHarness, problem_of
from tests.unit.api.upstream.asgi import Client
from tests.unit.api.upstream.chats import (
    PATH,
    audio_in,
    chat,
    complete,
    events_of,
    newest,
)

SONG = chat("<prompt>calm folk</prompt>", stream=True, batch_size=2)
BEAT_EVENT = '"delta":{"content":"."}'


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The beat comes after a moment, not after seconds."""
    monkeypatch.setattr(chat_completions, "BEAT", 0.001)


async def test_the_order_of_the_events(api: ApiHarness) -> None:
    answer = await complete(api, SONG, (b"one", b"two"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["cache-control"] == "no-store"
    job_id = (await newest(api)).job_id
    assert answer.headers["location"] == f"/v1/jobs/{job_id}"
    chunks = events_of(answer.text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": "Generating music"}
    assert deltas[1]["content"] == "\n\n## Metadata\n**Caption:** calm folk"
    assert audio_in(deltas[2]) == [b"one", b"two"]
    assert deltas[3:] == [{}]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, None, "stop"]
    assert (chunks[-1]["job_id"], chunks[-1]["warnings"]) == (job_id, [])


async def test_the_beat_goes_on_until_the_job_ends(api: ApiHarness, quick: None) -> None:
    """A proxy cuts a response that is silent for long."""
    client = Client(api, PATH, SONG)
    async with asyncio.timeout(60):
        while client.text.count(BEAT_EVENT) < 20:
            await asyncio.sleep(0.001)
    await api.succeed((b"one", b"two"))
    await client.end()
    chunks = events_of(client.text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[1:-3] == [{"content": "."}] * (len(deltas) - 4)
    assert audio_in(deltas[-2]) == [b"one", b"two"]


async def test_a_change_that_is_no_end_is_no_event(api: ApiHarness) -> None:
    client = Client(api, PATH, SONG)
    await client.received("Generating music")
    record = await api.service.start()
    await api.service.finish(record, None)
    await client.end()
    assert len(events_of(client.text)) == 2


async def test_a_job_that_fails(api: ApiHarness) -> None:
    client = Client(api, PATH, SONG)
    await client.received("Generating music")
    await api.service.finish(await api.service.start(), None)
    await client.end()
    last = events_of(client.text)[-1]
    (choice,) = last["choices"]
    assert choice["finish_reason"] == "error"
    assert choice["delta"]["content"] == "\n\nError: The decoder ran out of memory."
    assert last["job_id"] == (await newest(api)).job_id


async def test_a_job_that_is_deleted(api: ApiHarness) -> None:
    client = Client(api, PATH, SONG)
    await client.received("Generating music")
    await api.service.delete((await newest(api)).job_id)
    await client.end()
    choice = events_of(client.text)[-1]["choices"][0]
    assert (choice["finish_reason"], choice["delta"]["content"]) == (
        "error",
        "\n\nError: The job was deleted.",
    )


async def test_takes_that_are_gone(api: ApiHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def size(artifacts: Artifacts, key: str) -> int:
        raise ArtifactMissing(key)

    monkeypatch.setattr(Artifacts, "size", size)
    answer = await complete(api, SONG)
    assert events_of(answer.text)[-1]["choices"][0]["finish_reason"] == "error"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (StorageError("The audio could not be read."), "The audio could not be read."),
        (ValueError("secret"), "The song could not be sent; its job can be read with GET "),
    ],
)
@pytest.mark.parametrize("method", ["size", "stream"])
async def test_an_error_of_any_kind_ends_the_stream_with_a_reason(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch, method: str, error: Exception, sentence: str
) -> None:
    """Also if a part of the takes was sent."""

    async def size(artifacts: Artifacts, key: str) -> int:
        raise error

    async def stream(artifacts: Artifacts, *where: object) -> AsyncGenerator[bytes, None]:
        yield b"abc"
        raise error

    monkeypatch.setattr(Artifacts, method, {"size": size, "stream": stream}[method])
    answer = await complete(api, SONG)
    *_, failure, done, end = answer.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    last = json.loads(failure.removeprefix("data: "))
    (choice,) = last["choices"]
    assert choice["finish_reason"] == "error"
    assert choice["delta"]["content"].startswith(f"\n\nError: {sentence}")
    assert "secret" not in answer.text
    assert last["job_id"] == (await newest(api)).job_id


async def test_a_take_is_closed_as_soon_as_the_response_is(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    async def stream(artifacts: Artifacts, *where: object) -> AsyncGenerator[bytes, None]:
        try:
            yield b"abc"
        finally:
            closed.append(where[0])

    monkeypatch.setattr(Artifacts, "stream", stream)
    take = Take(index=0, key="k", seed=7, format="mp3", bytes=3, sha256="", samples=48_000)
    pieces = Completion("a-job", "a-model").takes(Song("", (TakeData(take, 3),), []))
    context = api.app.state.context  # type: ignore[attr-defined]
    stream_of_pieces = pieces.stream(context)
    async with asyncio.timeout(60):
        while await anext(stream_of_pieces) != b"YWJj":
            assert closed == []
    await stream_of_pieces.aclose()
    assert closed == ["k"]


async def test_a_request_that_is_wrong_is_refused_before_the_stream(make_api: MakeHarness) -> None:
    api = await make_api(limits={"queue": 1})
    problem_of(await api.http.post(PATH, json=chat("", stream=True)), 400, "malformed_body")
    await api.submit()
    problem_of(await api.http.post(PATH, json=SONG), 429, "queue_full")


@pytest.mark.parametrize("how", ["disconnect", "cancel"])
@pytest.mark.parametrize("after", ["Generating music", BEAT_EVENT])
async def test_a_client_that_disconnects(
    api: ApiHarness, quick: None, how: str, after: str
) -> None:
    client = Client(api, PATH, SONG)
    await client.received(after)
    if how == "disconnect":
        client.hang_up()
    else:
        client.task.cancel()
    await client.end()
    async with asyncio.timeout(60):
        while (await newest(api)).status is not Status.FAILED:
            await asyncio.sleep(0.001)
    assert (await newest(api)).error_code is ErrorCode.CANCELLED


async def test_a_client_with_a_key_can_ask_again(api: ApiHarness, quick: None) -> None:
    client = Client(api, PATH, SONG, idempotency_key="k")
    await client.received(BEAT_EVENT)
    client.hang_up()
    await client.end()
    for _ in range(100):
        await asyncio.sleep(0)
    assert await api.queued() == 1
    await api.succeed((b"one", b"two"))
    answer = await api.http.post(PATH, json=SONG, headers={"Idempotency-Key": "k"})
    assert answer.headers["idempotency-replayed"] == "true"
    assert audio_in(events_of(answer.text)[-2]["choices"][0]["delta"]) == [b"one", b"two"]


async def test_a_client_that_disconnects_after_the_end(api: ApiHarness) -> None:
    client = Client(api, PATH, SONG)
    await client.received("Generating music")
    await api.succeed((b"one", b"two"))
    await client.received("[DONE]")
    client.hang_up()
    await client.end()
    assert (await newest(api)).status is Status.SUCCEEDED


@pytest.mark.parametrize(("stream", "streamed"), [("true", True), (1, True), ("no", False)])
async def test_words_for_true(api: ApiHarness, stream: object, streamed: bool) -> None:
    answer = await complete(api, {**SONG, "stream": stream})
    assert answer.headers["content-type"].startswith("text/event-stream") is streamed
