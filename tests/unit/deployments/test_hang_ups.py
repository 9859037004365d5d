"""Clients that disconnect beside others that wait.

Ray cancels the actor calls that were made in the context of a request whose client has
disconnected. The stand-in for the job store actor does the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import aclosing
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar

import pytest
from ray.exceptions import TaskCancelledError

from acestep_ray.api.store_service import JobStoreService
from acestep_ray.jobs.coordinator.change_log import Changes, Entries
from acestep_ray.jobs.event_stream import Happened
from acestep_ray.jobs.events import EventKind, JobEvent, OfJob
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.store.operations import Get
from acestep_ray.replicas.registry import RegistrySnapshot
from acestep_ray.settings import Settings
from deployments import job_store_client as store_client
from deployments.job_store_client import RayJobStoreClient
from deployments.serve_status import ServeStatus
from tests.unit.jobs.specs import job_record

T = TypeVar("T")

NO_REQUEST = "no request"
_request: ContextVar[str] = ContextVar("request", default=NO_REQUEST)


class Call(NamedTuple):
    """A call of the actor, and the request in whose context it was made."""

    method: str
    request: str
    answer: asyncio.Future[Any]


class Actor:
    """The job store actor of a service with requests. A test sets the results of its calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        def remote(*_: object) -> Awaitable[Any]:
            answer = asyncio.get_running_loop().create_future()
            self.calls.append(Call(name, _request.get(), answer))
            return answer

        return SimpleNamespace(remote=remote)

    def request(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin to process a request."""

        async def answer() -> T:
            _request.set(name)
            return await work

        self._tasks[name] = asyncio.create_task(answer())
        return self._tasks[name]

    async def hang_up(self, name: str) -> None:
        """The client of a request has disconnected."""
        self._tasks[name].cancel()
        for call in self.calls:
            if call.request == name and not call.answer.done():
                call.answer.set_exception(TaskCancelledError())
        with pytest.raises(asyncio.CancelledError):
            await self._tasks[name]

    async def called(self, method: str, times: int = 1) -> list[asyncio.Future[Any]]:
        """The results of a method's calls, after it was called so often."""
        async with asyncio.timeout(60):
            while len(found := [c.answer for c in self.calls if c.method == method]) < times:
                await asyncio.sleep(0.001)
        assert len(found) == times
        return found


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch) -> Actor:
    actor = Actor()
    monkeypatch.setattr(store_client, "find_or_create", lambda *_: actor)
    return actor


@pytest.fixture
def service(actor: Actor) -> JobStoreService:
    settings = Settings()
    return JobStoreService(RayJobStoreClient(settings), settings, ServeStatus(dict))


def snapshot(job_id: str, status: Status) -> Snapshot:
    record = job_record(job_id, status=status)
    return Snapshot(record)


async def test_operations_sent_together_are_answered_when_the_first_sender_is_gone(
    actor: Actor, service: JobStoreService
) -> None:
    actor.request("A", service.wait("a", Status.QUEUED, 60))
    (first,) = await actor.called("apply")
    others = [actor.request(name, service.get(name)) for name in ("B", "C")]
    await asyncio.sleep(0)
    first.set_result([snapshot("a", Status.QUEUED)])
    _, both = await actor.called("apply", 2)
    await actor.hang_up("A")
    both.set_result([snapshot("B", Status.QUEUED), snapshot("C", Status.RUNNING)])
    statuses = [found.record.status for found in await asyncio.gather(*others)]
    assert statuses == [Status.QUEUED, Status.RUNNING]


async def test_a_wait_hears_of_the_change_when_the_first_who_waited_is_gone(
    actor: Actor, service: JobStoreService, caplog: pytest.LogCaptureFixture
) -> None:
    actor.request("A", service.wait("a", Status.QUEUED, 60))
    (read,) = await actor.called("apply")
    read.set_result([snapshot("a", Status.QUEUED)])
    (changes,) = await actor.called("changes")
    other = actor.request("B", service.wait("b", Status.QUEUED, 60))
    _, read = await actor.called("apply", 2)
    read.set_result([snapshot("b", Status.QUEUED)])
    for _ in range(10):
        await asyncio.sleep(0)
    await actor.hang_up("A")
    changes.set_result(Changes("epoch", 1, ("b",)))
    *_, read = await actor.called("apply", 3)
    read.set_result([snapshot("b", Status.RUNNING)])
    assert (await other).record.status is Status.RUNNING
    assert caplog.text == ""


async def test_events_reach_others_when_the_first_who_followed_is_gone(
    actor: Actor, service: JobStoreService, caplog: pytest.LogCaptureFixture
) -> None:
    async def followed(job_id: str) -> EventKind:
        stream = service.events(OfJob(job_id), ("epoch", 0))
        async with aclosing(stream.items()) as items:
            item = await anext(items)
        assert isinstance(item, Happened)
        return item.event.kind

    actor.request("A", followed("a"))
    (poll,) = await actor.called("events")
    other = actor.request("B", followed("b"))
    for _ in range(10):
        await asyncio.sleep(0)
    await actor.hang_up("A")
    event = JobEvent(EventKind.RUNNING, "b", "", 1.0, Status.RUNNING, 1)
    poll.set_result(Entries("epoch", 0, missed=True))
    _, poll = await actor.called("events", 2)
    poll.set_result(Entries("epoch", 1, ((1, event),)))
    assert await other is EventKind.RUNNING
    assert caplog.text == ""


async def test_what_is_deployed_is_asked_once_for_all(
    actor: Actor, service: JobStoreService
) -> None:
    """A caller that shares the call keeps it when the first caller disconnects."""
    actor.request("A", service.deployed())
    (replicas,) = await actor.called("replicas")
    other = actor.request("B", service.deployed())
    await asyncio.sleep(0)
    await actor.hang_up("A")
    replicas.set_result(RegistrySnapshot(()))
    assert not (await other).ready
    await actor.called("replicas", 1)


async def test_no_call_belongs_to_a_request(actor: Actor) -> None:
    """Otherwise it would end with an error of Ray's, with a traceback, that no caller reads."""
    actor.request("A", RayJobStoreClient(Settings()).stats())
    await actor.called("stats")
    assert [call.request for call in actor.calls] == [NO_REQUEST]


async def test_the_actor_is_looked_for_by_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    actor, searches = Actor(), []

    def find_or_create(*_: object) -> Actor:
        searches.append(_request.get())
        return actor

    monkeypatch.setattr(store_client, "find_or_create", find_or_create)
    actor.request("A", RayJobStoreClient(Settings()).apply(Get("a")))
    await actor.called("apply")
    assert searches == [NO_REQUEST]


async def test_serve_is_asked_by_no_request(actor: Actor) -> None:
    askers: list[str] = []

    def ask() -> Mapping[str, Any]:
        askers.append(_request.get())
        return {}

    look: Callable[[], Coroutine[Any, Any, None]] = ServeStatus(ask).look
    await actor.request("A", look())
    assert askers == [NO_REQUEST]
