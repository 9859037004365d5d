"""Server-sent events behind a real socket, read by a client library for them."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
import uvicorn
from httpx_sse import EventSource, ServerSentEvent
from starlette.types import Message

from acestep_ray.api.app import create_app
from acestep_ray.api.middleware.authentication import key_digest
from acestep_ray.api.openapi import openapi_document
from acestep_ray.jobs.events import OfOwner
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import Submit
from acestep_ray.settings import Settings
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import ApiHarness, problem_of
from tests.unit.api.routes.test_jobs import FIELDS, job, submit

IN_TIME = 30.0
HALF = Progress(stage="diffusion", step=4, total=8, fraction=0.5)


class Events:
    """A stream that is being read."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._events = EventSource(response).aiter_sse()

    async def next(self, *, heartbeats: bool = False) -> ServerSentEvent:
        """The next event; without data it is a heartbeat."""
        async with asyncio.timeout(IN_TIME):
            while True:
                event = await anext(self._events)
                if event.data or heartbeats:
                    return event

    async def data(self, name: str) -> dict[str, Any]:
        """The data of the next event, which must have this name."""
        event = await self.next()
        assert event.event == name, event
        found: dict[str, Any] = json.loads(event.data)
        return found

    async def over(self) -> bool:
        async with asyncio.timeout(IN_TIME):
            return [event async for event in self._events if event.data] == []


Open = Callable[..., Awaitable[Events]]


@pytest.fixture
async def listen(make_api: MakeHarness) -> AsyncIterator[Callable[..., Awaitable[Open]]]:
    """Lets an app listen on a port; then opens streams of it."""
    async with AsyncExitStack() as stack:

        async def start(api: ApiHarness) -> Open:
            app = create_app(api.settings, api.service, api.artifacts)
            listener = socket.create_server(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
            serving = asyncio.create_task(server.serve(sockets=[listener]))

            async def stop() -> None:
                server.should_exit = True
                await serving

            stack.push_async_callback(stop)
            url = "http://{}:{}".format(*listener.getsockname())
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=IN_TIME))

            async def open_stream(path: str, last: str = "", **headers: str) -> Events:
                headers |= {"Last-Event-ID": last} if last else {}
                stream = http.stream("GET", path, headers=headers)
                return Events(await stack.enter_async_context(stream))

            return open_stream

        yield start


async def test_a_job_is_followed_to_its_end(api: ApiHarness, listen: Any) -> None:
    opened: Open = await listen(api)
    job_id = await submit(api)
    events = await opened(f"/v1/jobs/{job_id}/events")
    assert events.response.headers["content-type"].startswith("text/event-stream")
    assert events.response.headers["cache-control"] == "no-store"
    assert events.response.headers["x-accel-buffering"] == "no"
    first = await events.next()
    assert (first.event, first.retry) == ("state", 1000)
    state = json.loads(first.data)
    assert set(state) == FIELDS
    assert state == await job(api, job_id)
    record = await api.service.start(HALF)
    running = await events.data("running")
    assert running == {
        "job_id": job_id,
        "kind": "running",
        "at": record.started_at,
        "status": "running",
        "attempt": 1,
    }
    stage = await events.data("stage")
    assert stage["progress"] == HALF.model_dump()
    await api.service.report(record, HALF.model_copy(update={"step": 5, "fraction": 0.6}))
    assert (await events.data("progress"))["progress"]["step"] == 5
    await api.service.finish(record, None)
    end = await events.data("ended")
    assert end["job"] == await job(api, job_id)
    assert (end["status"], end["error_code"]) == ("failed", "out_of_memory")
    assert await events.over()


async def test_the_end_of_a_job_that_succeeded_has_its_result(api: ApiHarness, listen: Any) -> None:
    opened: Open = await listen(api)
    await submit(api)
    job_id = await api.succeed()
    events = await opened(f"/v1/jobs/{job_id}/events")
    assert (await events.data("state"))["status"] == "succeeded"
    event = await events.next()
    end = json.loads(event.data)
    assert (event.event, end["status"], "error_code" in end) == ("ended", "succeeded", False)
    assert end["job"] == await job(api, job_id)
    assert len(end["job"]["result"]["audio_paths"]) == 2
    assert await events.over()
    # What a browser asks next; 204 tells it to stop.
    again = await opened(f"/v1/jobs/{job_id}/events", event.id)
    assert again.response.status_code == 204
    assert again.response.headers["cache-control"] == "no-store"


async def test_all_jobs_are_followed(make_api: MakeHarness, listen: Any) -> None:
    """Those of the API key: earlier keys had jobs, too."""
    api = await make_api(api_key="k")
    await api.service.client.apply(Submit("other", "{}", needs_plan=False, owner="earlier"))
    opened: Open = await listen(api)
    refused = await opened("/v1/events")
    assert refused.response.status_code == 401
    headers = {"Authorization": "Bearer k"}
    api.http.headers.update(headers)
    first = await submit(api, caption="one")
    events = await opened("/v1/events", **headers)
    (listed,) = (await events.data("state"))["jobs"]
    assert (listed["job_id"], listed["caption"], listed["status"]) == (first, "one", "queued")
    second = await submit(api)
    assert (await events.data("submitted"))["job_id"] == second
    await api.http.post(f"/v1/jobs/{second}/cancel")
    end = await events.data("ended")
    assert (end["job_id"], end["job"]["error_code"]) == (second, "cancelled")
    await api.http.delete(f"/v1/jobs/{first}")
    assert (await events.data("ended"))["job_id"] == first
    assert (await events.data("deleted"))["job_id"] == first
    state = await api.service.client.state(OfOwner(key_digest(api.settings)))
    assert state.jobs == ()


async def test_a_stream_goes_on_after_the_last_event(api: ApiHarness, listen: Any) -> None:
    opened: Open = await listen(api)
    job_id = await submit(api)
    events = await opened(f"/v1/jobs/{job_id}/events")
    state = await events.next()
    record = await api.service.start(HALF)
    running = await events.next()
    await events.response.aclose()
    await api.service.finish(record, None)
    events = await opened(f"/v1/jobs/{job_id}/events", running.id)
    assert [(await events.next()).event for _ in range(2)] == ["stage", "ended"]
    events = await opened("/v1/events", state.id)
    assert [(await events.next()).event for _ in range(3)] == ["running", "stage", "ended"]


@pytest.mark.parametrize("last", ["another-5", "5", "x-", "-1", "x-99999999999999999999"])
async def test_an_id_of_another_time_begins_anew(api: ApiHarness, listen: Any, last: str) -> None:
    opened: Open = await listen(api)
    job_id = await submit(api)
    for path in (f"/v1/jobs/{job_id}/events", "/v1/events"):
        events = await opened(path, last)
        assert (await events.data("state"))["reset"] is True


async def test_a_silent_stream_has_heartbeats(make_api: MakeHarness, listen: Any) -> None:
    """Also while the job store cannot be reached; and they hold the place in the log."""
    api = await make_api(events={"heartbeat_seconds": 1})
    opened: Open = await listen(api)
    job_id = await submit(api)
    events = await opened(f"/v1/jobs/{job_id}/events")
    state = await events.next()
    api.service.fail = StoreUnavailable("away")
    beat = await events.next(heartbeats=True)
    assert (beat.data, beat.event, beat.id) == ("", "message", state.id)
    api.service.fail = None
    await submit(api)
    while beat.id == state.id:
        beat = await events.next(heartbeats=True)
        assert not beat.data
    await api.http.post(f"/v1/jobs/{job_id}/cancel")
    assert (await events.data("ended"))["job_id"] == job_id


async def test_a_client_that_hangs_up_leaves_nothing(api: ApiHarness, listen: Any) -> None:
    opened: Open = await listen(api)
    job_id = await submit(api)
    both = [await opened(f"/v1/jobs/{job_id}/events") for _ in range(2)]
    for events in both:
        await events.next()
    assert api.service._hub._number == 2
    await both[0].response.aclose()
    async with asyncio.timeout(IN_TIME):
        while api.service._hub._number > 1:
            await asyncio.sleep(0.01)
    await api.http.post(f"/v1/jobs/{job_id}/cancel")
    assert await both[1].data("ended")


async def test_refusals(make_api: MakeHarness) -> None:
    api = await make_api(events={"streams": 1})
    unknown = "00000000-0000-4000-8000-000000000000"
    for job_id in (unknown, "no-id"):
        problem_of(await api.http.get(f"/v1/jobs/{job_id}/events"), 404, "job_not_found")
    job_id = await submit(api)
    with api.service._hub.join(OfOwner("")):
        for path in (f"/v1/jobs/{job_id}/events", "/v1/events"):
            problem = await api.http.get(path)
            assert problem.headers["retry-after"]
            problem_of(problem, 503, "too_many_streams")
    await api.http.delete(f"/v1/jobs/{job_id}")
    problem_of(await api.http.get(f"/v1/jobs/{job_id}/events"), 410, "job_expired")
    api.service.fail = StoreUnavailable("away")
    problem_of(await api.http.get("/v1/events"), 503, "unavailable")


async def test_head_does_not_open_a_stream(api: ApiHarness) -> None:
    job_id = await submit(api)
    for path in (f"/v1/jobs/{job_id}/events", "/v1/events"):
        async with asyncio.timeout(IN_TIME):
            answer = await api.http.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"].startswith("text/event-stream")
    assert api.service._hub._number == 0


async def test_the_data_are_as_they_are_described(api: ApiHarness, listen: Any) -> None:
    schemas = openapi_document(Settings())["components"]["schemas"]
    opened: Open = await listen(api)
    job_id = await submit(api)
    one, every = await opened(f"/v1/jobs/{job_id}/events"), await opened("/v1/events", "x-1")
    assert set(await one.data("state")) | {"reset"} == set(
        schemas["JobStateEventView"]["properties"]
    )
    assert set(await every.data("state")) == set(schemas["JobsStateEventView"]["properties"])
    record = await api.service.start(HALF)
    await api.service.finish(record, None)
    found = [await one.data(name) for name in ("running", "stage", "ended")]
    assert set().union(*found) == set(schemas["EventView"]["properties"])


class TaskCancelledError(Exception):
    """Ray's exception has this name."""


async def test_serve_s_error_for_a_client_that_has_gone_ends_the_stream_silently(
    api: ApiHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise each client that closes its stream leaves a traceback in the log."""
    job_id = await submit(api)
    path = f"/v1/jobs/{job_id}/events"
    begun, gone = asyncio.Event(), asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        raise TaskCancelledError

    async def send(message: Message) -> None:
        if message.get("body"):
            begun.set()

    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": [],
        "root_path": "", "query_string": b"", "http_version": "1.1", "scheme": "http",
        "server": ("music", 80), "client": ("1.2.3.4", 5), "asgi": {"version": "3.0"},
    }  # fmt: skip
    serving = asyncio.ensure_future(api.app(scope, receive, send))
    async with asyncio.timeout(IN_TIME):
        await begun.wait()
        assert api.service._hub._number == 1
        gone.set()
        await serving
    assert api.service._hub._number == 0
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
