"""Chat completions in tests: send one, let its job end, and read what comes back."""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any

import httpx

from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.operations import ListJobs
from acestep_ray.jobs.store.records import JobRecord
from tests.unit.api.harness import ApiHarness

PATH = "/v1/chat/completions"


def chat(text: object = "", **fields: object) -> dict[str, Any]:
    """A request with one message."""
    return {"messages": [{"role": "user", "content": text}], **fields}


def sound(data: bytes, prefix: str = "") -> dict[str, Any]:
    """An audio part."""
    text = prefix + base64.b64encode(data).decode()
    return {"type": "input_audio", "input_audio": {"data": text, "format": "wav"}}


async def until_queued(api: ApiHarness) -> None:
    """Wait until a job is queued."""
    async with asyncio.timeout(60):
        while not await api.queued():
            await asyncio.sleep(0.001)


async def complete(
    api: ApiHarness, fields: Mapping[str, object], takes: tuple[bytes, ...] = (b"one",)
) -> httpx.Response:
    """Send a request, and let its job succeed."""
    call = asyncio.create_task(api.http.post(PATH, json=fields))
    queued = asyncio.create_task(until_queued(api))
    await asyncio.wait({call, queued}, return_when=asyncio.FIRST_COMPLETED)
    queued.cancel()
    if not call.done():
        await api.succeed(takes)
    return await call


async def spec_of(api: ApiHarness, fields: Mapping[str, object]) -> JobSpec:
    """The stored spec of a request that succeeds."""
    answer = await complete(api, fields)
    assert answer.status_code == 200, answer.text
    return await api.stored(answer.json()["job_id"])


async def newest(api: ApiHarness) -> JobRecord:
    """The record of the newest job."""
    return (await api.service.list(ListJobs(limit=1)))[0].record


def audio_in(part: Mapping[str, Any]) -> list[bytes]:
    """The takes in a message or a delta."""
    found = []
    for one in part["audio"]:
        assert one["type"] == "audio_url"
        head, _, text = one["audio_url"]["url"].partition(",")
        assert head == "data:audio/mpeg;base64"
        found.append(base64.b64decode(text, validate=True))
    return found


def events_of(text: str) -> list[Any]:
    """The chunks of a stream; its last event is checked and left out."""
    events = text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    for chunk in chunks:
        assert chunk["object"] == "chat.completion.chunk"
        assert chunk["id"] == chunks[0]["id"] and len(chunk["choices"]) == 1
    return chunks
