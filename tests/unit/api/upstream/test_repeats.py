"""Clients that send a task again: one song for one answer."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from acestep_ray.api.app import create_app
from acestep_ray.api.repeats import MOST, Repeats
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import Submit
from acestep_ray.jobs.store.records import Submitted
from acestep_ray.settings import Jobs, Settings
from tests.unit.api.harness import LocalService
from tests.unit.api.request.test_source_audio import SONG
from tests.unit.api.test_server import until
from tests.unit.api.upstream.tasks import data_of

BODY = json.dumps({"prompt": "jazz", "thinking": True}).encode()


class SlowService(LocalService):
    """A service whose submits and reads wait for the test."""

    def __init__(self, path: Path, settings: Settings) -> None:
        super().__init__(path, settings)
        self.gate = threading.Event()
        self.waiting = 0
        self.failing = False

    async def submit(self, submit: Submit) -> Submitted:
        await self._pass()
        if self.failing:
            raise StoreUnavailable("gone")
        return await super().submit(submit)

    async def get(self, job_id: str) -> Snapshot:
        await self._pass()
        return await super().get(job_id)

    async def _pass(self) -> None:
        self.waiting += 1
        try:
            while not self.gate.is_set():
                await asyncio.sleep(0.002)
        finally:
            self.waiting -= 1


@dataclass
class Server:
    """The app on a port of loopback."""

    port: int
    service: SlowService
    running: uvicorn.Server
    repeats: Repeats

    def send(self, body: bytes = BODY, kind: str = "application/json") -> socket.socket:
        """A connection on which a task was sent, and is being queued."""
        waiting = self.service.waiting
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        head = f"Host: music\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(f"POST /release_task HTTP/1.1\r\n{head}".encode() + body)
        until(lambda: self.service.waiting == waiting + 1)
        return client

    def hang_up(self, client: socket.socket) -> None:
        """The client disconnects; then its task is queued."""
        kept = len(self.repeats._undelivered)
        client.close()
        until(lambda: not self.running.server_state.connections)
        self.service.gate.set()
        until(lambda: len(self.repeats._undelivered) == kept + 1)
        self.service.gate.clear()

    def task(self, body: bytes = BODY, kind: str = "application/json") -> dict[str, Any]:
        """Send a task, and wait for its answer."""
        self.service.gate.set()
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as client:
            client.request("POST", "/release_task", body, {"Content-Type": kind})
            answer = client.getresponse()
            assert answer.status == 200
            data: dict[str, Any] = json.loads(answer.read())["data"]
        self.service.gate.clear()
        return data | {"again": answer.headers["Idempotency-Replayed"] == "true"}


@pytest.fixture(params=[600.0])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    settings = Settings(data=tmp_path, jobs=Jobs(repeat_seconds=request.param))
    service = SlowService(tmp_path / "jobs.sqlite", settings)
    app = create_app(settings, service, Artifacts(settings.artifacts_url))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    running = uvicorn.Server(config)

    async def serve() -> None:
        async with service.opened():
            await running.serve([listener])

    def run() -> None:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until(lambda: running.started)
    yield Server(listener.getsockname()[1], service, running, app.state.context.repeats)
    service.gate.set()
    running.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def form(boundary: str) -> tuple[bytes, str]:
    """The same task as a form with a file, as a client builds it anew for each request."""
    fields = {"prompt": "jazz", "task_type": "cover"}
    request = httpx.Request(
        "POST", "http://music", data=fields, files={"src_audio": ("song.wav", SONG)},
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )  # fmt: skip
    return request.read(), request.headers["content-type"]


def test_a_repeat_after_a_hang_up_is_the_same_job(server: Server) -> None:
    server.hang_up(server.send(*form("one")))
    (queued,) = server.service.submits
    again = server.task(*form("two"))
    assert (again["task_id"], again["again"], again["queue_position"]) == (queued.job_id, True, 1)
    assert len(server.service.submits) == 1


def test_a_third_request_after_two_hang_ups_is_the_same_job(server: Server) -> None:
    for _ in range(2):
        server.hang_up(server.send())
    (queued,) = server.service.submits
    assert server.task()["task_id"] == queued.job_id


def test_who_got_the_answer_and_asks_again_gets_another_song(server: Server) -> None:
    server.hang_up(server.send())
    tasks = [server.task() for _ in range(3)]
    assert [task["again"] for task in tasks] == [True, False, False]
    assert len({task["task_id"] for task in tasks}) == 3 == len(server.service.submits)


def test_other_requests_of_the_same_client_are_their_own_jobs(server: Server) -> None:
    server.hang_up(server.send())
    other = server.task(json.dumps({"prompt": "rock", "thinking": True}).encode())
    assert not other["again"] and server.task()["again"]


def test_requests_at_the_same_time_are_their_own_jobs(server: Server) -> None:
    """Both clients wait for their answers."""
    clients = [server.send() for _ in range(2)]
    server.service.gate.set()
    answers = []
    for client in clients:
        with closing(client):
            answers.append(client.recv(65_536))
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answers)
    assert len(server.service.submits) == 2


def test_a_job_that_was_deleted_is_not_returned(server: Server) -> None:
    server.hang_up(server.send())
    (queued,) = server.service.submits
    server.service.gate.set()
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=20)) as client:
        client.request("DELETE", f"/v1/jobs/{queued.job_id}")
        assert client.getresponse().status == 204
    assert not server.task()["again"]


def test_a_job_that_was_cancelled_is_not_returned(server: Server) -> None:
    server.hang_up(server.send())
    (queued,) = server.service.submits
    server.service.gate.set()
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=20)) as client:
        client.request("POST", f"/v1/jobs/{queued.job_id}/cancel")
        assert client.getresponse().status == 200
    again = server.task()
    assert not again["again"] and again["task_id"] != queued.job_id


@pytest.mark.parametrize("server", [0.0], indirect=True)
def test_it_can_be_switched_off(server: Server) -> None:
    client = server.send()
    client.close()
    assert not server.task()["again"]
    until(lambda: len(server.service.submits) == 2)


async def soon(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


@dataclass
class Slow:
    """An app whose requests are cancelled when the client disconnects, as Ray Serve does it."""

    http: httpx.AsyncClient
    service: SlowService
    repeats: Repeats

    def send(self) -> asyncio.Task[httpx.Response]:
        return asyncio.create_task(self.http.post("/release_task", content=BODY))

    async def cancelled(self) -> None:
        """A request whose client disconnects while its task is being queued."""
        request = self.send()
        await soon(lambda: self.service.waiting)
        request.cancel()
        await soon(lambda: self.repeats._undelivered)

    async def joined(self) -> asyncio.Task[httpx.Response]:
        """A repeat that waits for the first request."""
        again = self.send()
        await soon(lambda: not self.repeats._undelivered)
        return again


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[Slow]:
    settings = Settings(data=tmp_path)
    service = SlowService(tmp_path / "jobs.sqlite", settings)
    app = create_app(settings, service, Artifacts(settings.artifacts_url))
    transport = httpx.ASGITransport(app)
    async with (
        service.opened(),
        httpx.AsyncClient(transport=transport, base_url="http://music") as http,
    ):
        yield Slow(http, service, app.state.context.repeats)
        service.gate.set()
        await soon(lambda: not service.waiting)


@pytest.mark.parametrize("queued_first", [True, False])
async def test_a_repeat_while_the_first_is_still_being_queued(
    slow: Slow, queued_first: bool
) -> None:
    await slow.cancelled()
    if queued_first:
        slow.service.gate.set()
        await soon(lambda: slow.service.submits)
    again = await slow.joined()
    slow.service.gate.set()
    answer = await again
    assert answer.headers["Idempotency-Replayed"] == "true"
    (queued,) = slow.service.submits
    assert data_of(answer)["task_id"] == queued.job_id
    assert data_of(await slow.send())["task_id"] != queued.job_id


@pytest.mark.parametrize("queued_first", [True, False])
async def test_a_repeat_that_is_cancelled_too(slow: Slow, queued_first: bool) -> None:
    """While it waits for the first, or while it reads the job."""
    await slow.cancelled()
    if queued_first:
        slow.service.gate.set()
        await soon(lambda: slow.service.submits)
        slow.service.gate.clear()
    again = await slow.joined()
    if queued_first:
        await soon(lambda: slow.service.waiting)
    again.cancel()
    await asyncio.wait([again])
    slow.service.gate.set()
    third = data_of(await slow.send())
    (queued,) = slow.service.submits
    assert third["task_id"] == queued.job_id


async def test_a_repeat_of_a_request_that_failed_is_a_new_one(slow: Slow) -> None:
    slow.service.failing = True
    await slow.cancelled()
    again = await slow.joined()
    slow.service.gate.set()
    assert (await again).status_code == 503, "it was tried again, and failed again"
    slow.service.failing = False
    assert "Idempotency-Replayed" not in (await slow.send()).headers
    assert len(slow.service.submits) == 1


async def test_what_is_kept_is_bounded_and_ends() -> None:
    now = 0.0
    repeats = Repeats(600, lambda: now)
    job = Submitted("job", Status.QUEUED, 1, created=True)
    for number in range(MOST + 1):
        repeats.keep_submitted(str(number), job)
    assert await repeats.earlier("0") is None
    assert await repeats.earlier("1") == job
    assert await repeats.earlier("1") is None
    now = 600.1
    assert await repeats.earlier("2") is None
