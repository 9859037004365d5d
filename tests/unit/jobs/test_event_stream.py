"""Streams of events: a reader that is cut off anywhere misses nothing and gets nothing twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from acestep_ray.jobs import event_stream
from acestep_ray.jobs.client import PATIENCE
from acestep_ray.jobs.coordinator.change_log import Entries
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.event_hub import EventHub, TooManyStreams
from acestep_ray.jobs.event_stream import Begin, EventStream, Happened
from acestep_ray.jobs.events import EventId, EventKind, JobEvent, OfJob, OfOwner, Topic
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.snapshot import State
from acestep_ray.jobs.store.answers import Answer
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound, StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Delete, Finish, Operation, Submit
from tests.unit.jobs.harness import IN_TIME, CoordinatorHarness, ask, submit, take, until
from tests.unit.jobs.local_client import LocalClient


class Client(LocalClient):
    """A client whose coordinator may be replaced, and may be away."""

    away = False

    async def apply(self, op: Operation[object, Answer], patience: float = PATIENCE) -> Answer:
        self._there()
        return await super().apply(op, patience)

    async def events(
        self, since: EventId | None, seconds: float, topic: Topic | None = None
    ) -> Entries[JobEvent]:
        self._there()
        return await super().events(since, seconds, topic)

    async def state(self, topic: Topic) -> State:
        self._there()
        return await super().state(topic)

    def _there(self) -> None:
        if self.away:
            raise StoreUnavailable("away")


class Service:
    """A coordinator, and a process whose readers share a hub."""

    def __init__(self, harness: CoordinatorHarness, coordinator: JobCoordinator) -> None:
        self.harness = harness
        self.client = Client(coordinator)
        self.new_ingress()

    @property
    def coordinator(self) -> JobCoordinator:
        return self.client.coordinator

    def new_ingress(self) -> None:
        """Another process serves from now on."""
        self.hub = EventHub(self.client.events, most=100)

    async def restart(self) -> None:
        """The coordinator is replaced, as when its process dies."""
        await self.coordinator.close()
        self.client.coordinator = await self.harness.open()

    @asynccontextmanager
    async def read(self, topic: Topic, since: EventId | None = None) -> AsyncIterator["Reading"]:
        stream = EventStream(self.client, self.hub, topic, since)
        assert await stream.open()
        async with aclosing(stream.items()) as items:
            yield Reading(stream, items)


def id_of(item: Begin | Happened) -> EventId:
    assert item.id is not None
    return item.id


class Reading:
    """A stream that is being read."""

    def __init__(self, stream: EventStream, items: AsyncIterator[Begin | Happened]) -> None:
        self.stream = stream
        self._items = items

    async def next(self) -> Begin | Happened:
        async with asyncio.timeout(IN_TIME):
            return await anext(self._items)

    async def begin(self) -> Begin:
        item = await self.next()
        assert isinstance(item, Begin)
        return item

    async def kinds(self, number: int) -> list[str]:
        """The kinds of the next events."""
        items = [await self.next() for _ in range(number)]
        return [item.event.kind if isinstance(item, Happened) else "state" for item in items]

    async def over(self) -> bool:
        async with asyncio.timeout(IN_TIME):
            return await anext(self._items, None) is None


@pytest.fixture
async def service(harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr(event_stream, "PAUSE", 0.01)
    monkeypatch.setattr(event_stream, "LATE_SECONDS", 0.05)
    return Service(harness, await harness.open())


async def test_a_job_from_its_submit_to_its_end(service: Service) -> None:
    await submit(service.coordinator, "a", "b")
    async with service.read(OfJob("a")) as reading:
        begin = await reading.begin()
        assert [job.record.job_id for job in begin.jobs] == ["a"]
        assert not begin.reset
        attempt = await take(service.coordinator, "a")
        assert await reading.kinds(1) == ["running"]
        await ask(service.coordinator, Finish("a", attempt, result="{}"))
        end = await reading.next()
        assert isinstance(end, Happened) and end.job
        assert (end.event.kind, end.job.record.result) == (EventKind.ENDED, "{}")
        assert await reading.over()


async def test_a_job_that_has_ended_before(service: Service) -> None:
    await submit(service.coordinator, "a")
    await ask(service.coordinator, Cancel("a"))
    async with service.read(OfJob("a")) as reading:
        await reading.begin()
        end = await reading.next()
        assert isinstance(end, Happened) and end.job
        assert (end.event.kind, end.event.status) == (EventKind.ENDED, Status.FAILED)
        assert end.event.at == end.job.record.finished_at
        assert await reading.over()
    # A reader that was cut off before the end has no id, or an earlier one: it gets the end.
    for since in (None, ("another epoch", 1)):
        async with service.read(OfJob("a"), since) as reading:
            assert (await reading.begin()).id is None
            assert reading.stream.id == (since or ("", 0))
            assert await reading.kinds(1) == ["ended"]
    # A browser connects again when a stream ends; then there is nothing left for it.
    assert not await EventStream(service.client, service.hub, OfJob("a"), end.id).open()


async def test_a_job_that_is_deleted(service: Service) -> None:
    await submit(service.coordinator, "a")
    async with service.read(OfJob("a")) as reading:
        await reading.begin()
        await ask(service.coordinator, Delete("a"))
        end = await reading.next()
        assert isinstance(end, Happened)
        assert (end.event.kind, end.job) == (EventKind.ENDED, None)
        assert await reading.over()
    async with service.read(OfJob("a"), end.id) as reading:
        assert await reading.kinds(1) == ["deleted"]
        assert await reading.over()
    with pytest.raises(JobExpired):
        await EventStream(service.client, service.hub, OfJob("a"), None).open()


async def test_a_job_that_there_is_not(service: Service) -> None:
    here = (await service.coordinator.state(OfOwner(""))).id
    for since in (None, ("another epoch", 5), here):
        with pytest.raises(JobNotFound):
            await EventStream(service.client, service.hub, OfJob("a"), since).open()


async def test_all_jobs_of_an_owner(service: Service) -> None:
    for job_id, owner in (("a", "me"), ("b", "you"), ("c", "me")):
        await ask(service.coordinator, Submit(job_id, "{}", needs_plan=False, owner=owner))
    async with service.read(OfOwner("me")) as reading:
        assert [job.record.job_id for job in (await reading.begin()).jobs] == ["c", "a"]
        for job_id in "abc":
            await ask(service.coordinator, Cancel(job_id))
        ends = [await reading.next() for _ in range(2)]
        assert [end.event.job_id for end in ends if isinstance(end, Happened)] == ["a", "c"]
        assert all(isinstance(end, Happened) and end.job for end in ends)
        await ask(service.coordinator, Submit("d", "{}", needs_plan=False, owner="me"))
        assert await reading.kinds(1) == ["submitted"]


async def test_two_readers_of_one_job(service: Service) -> None:
    await submit(service.coordinator, "a")
    async with service.read(OfJob("a")) as one, service.read(OfJob("a")) as other:
        assert await one.begin() == await other.begin()
        await take(service.coordinator, "a")
        assert await one.kinds(1) == ["running"]
        await ask(service.coordinator, Cancel("a"))
        assert await one.kinds(1) == ["ended"]
        assert await other.kinds(2) == ["running", "ended"]


async def test_a_reader_that_is_cut_off_at_every_event(service: Service) -> None:
    """Each time another process serves it."""
    seen: list[Happened] = []
    since = (await service.coordinator.state(OfOwner(""))).id
    changing = asyncio.create_task(change_jobs(service))
    while len(seen) < 80:
        service.new_ingress()
        async with service.read(OfOwner(""), since) as reading:
            for _ in range(min(len(seen) % 3 + 1, 80 - len(seen))):
                item = await reading.next()
                assert isinstance(item, Happened)
                seen.append(item)
                since = item.id
    await changing
    log = await service.coordinator.events((since[0], 0), 0)
    assert [item.event for item in seen] == [event for _, event in log.entries]


async def change_jobs(service: Service) -> None:
    for n in range(40):
        await submit(service.coordinator, f"{n}")
        await asyncio.sleep(0.001 * (n % 4))
        await ask(service.coordinator, Cancel(f"{n}"))


async def test_a_restart_of_the_coordinator_begins_anew_with_the_state(service: Service) -> None:
    await submit(service.coordinator, "a", "b")
    async with service.read(OfJob("a")) as reading:
        before = await reading.begin()
        attempt = await take(service.coordinator, "a")
        assert await reading.kinds(1) == ["running"]
        await service.restart()
        begin = await reading.begin()  # on the same connection
        assert begin.reset and begin.jobs[0].record.attempt == attempt
        await ask(service.coordinator, Cancel("a"))
        assert await reading.kinds(1) == ["ended"]
    async with service.read(OfJob("b"), before.id) as reading:  # a reader that comes back
        assert (await reading.begin()).reset
    async with service.read(OfJob("a"), before.id) as reading:
        assert (await reading.begin()).reset
        assert await reading.kinds(1) == ["ended"]
        assert await reading.over()


async def test_a_job_that_is_gone_after_a_restart_ends_its_stream(service: Service) -> None:
    await submit(service.coordinator, "a")
    async with service.read(OfJob("a")) as reading:
        await reading.begin()
        await until(lambda: service.hub.at is not None)
        await service.coordinator.close()
        service.client.coordinator = coordinator = await service.harness.open()
        await ask(coordinator, Delete("a"))
        assert await reading.over()


async def test_a_stream_outlives_a_time_without_the_store(service: Service) -> None:
    await submit(service.coordinator, "a")
    async with service.read(OfJob("a")) as reading:
        await reading.begin()
        await until(lambda: service.hub.at is not None)
        service.client.away = True
        with pytest.raises(StoreUnavailable):
            await EventStream(service.client, service.hub, OfJob("a"), None).open()
        following = asyncio.create_task(reading.next())
        await ask(service.coordinator, Cancel("a"))
        await asyncio.sleep(0.05)
        assert not following.done()
        service.client.away = False
        end = await following
        assert isinstance(end, Happened) and end.job


async def test_a_slow_reader_gets_everything(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than waits for it in the process: the rest is read from the log."""
    monkeypatch.setattr("acestep_ray.jobs.event_hub.MOST_WAITING", 3)
    async with service.read(OfOwner("")) as reading:
        epoch, start = id_of(await reading.begin())
        await submit(service.coordinator, "first")
        assert await reading.kinds(1) == ["submitted"]
        for n in range(10):
            await submit(service.coordinator, f"{n}")
        await until(lambda: service.hub.at == (epoch, start + 11))
        items = [await reading.next() for _ in range(10)]
        assert [id_of(item)[1] for item in items] == list(range(2, 12))
        await submit(service.coordinator, "last")
        assert id_of(await reading.next()) == (epoch, 12)


async def test_the_id_of_a_silent_stream_moves_on_with_the_others_events(
    service: Service,
) -> None:
    """Otherwise a client that was cut off would be too late for the log, although nothing happened
    to its job."""
    await submit(service.coordinator, "a")
    async with service.read(OfJob("a")) as reading:
        epoch, start = id_of(await reading.begin())
        following = asyncio.create_task(reading.next())
        await submit(service.coordinator, "b", "c", "d")
        await until(lambda: reading.stream.id == (epoch, start + 3))
        await ask(service.coordinator, Cancel("a"))
        end = await following
        assert reading.stream.id == end.id == (epoch, start + 4)


async def test_the_id_of_a_stream_never_promises_what_was_not_passed_on(
    service: Service,
) -> None:
    await submit(service.coordinator, "a")
    async with service.read(OfOwner("")) as reading:
        epoch, start = id_of(await reading.begin())
        await submit(service.coordinator, "b", "c")
        await until(lambda: service.hub.at == (epoch, start + 2))
        assert reading.stream.id == (epoch, start)
        item = await reading.next()
        assert reading.stream.id == item.id == (epoch, start + 1)


async def test_there_is_a_most(service: Service) -> None:
    await submit(service.coordinator, "a")
    service.hub = EventHub(service.client.events, most=1)
    async with service.read(OfJob("a")) as reading:
        await reading.begin()
        with pytest.raises(TooManyStreams):
            await EventStream(service.client, service.hub, OfJob("a"), None).open()
