"""The events of a topic for one reader, who may have read some of them before."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

from acestep_ray.jobs.client import JobStoreClient
from acestep_ray.jobs.coordinator.change_log import Entries
from acestep_ray.jobs.event_hub import EventHub, EventReader
from acestep_ray.jobs.events import EventId, EventKind, JobEvent, OfJob, Topic
from acestep_ray.jobs.snapshot import Snapshot, State
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound, StoreUnavailable
from acestep_ray.jobs.store.operations import Get

PAUSE = 1.0
"""Seconds between two tries to reach the job store."""
LATE_SECONDS = 1.0
"""How much later than in the store a peer's change may be in the log, seconds."""


@dataclass(frozen=True)
class Begin:
    """Where a stream begins: the jobs of its topic, see State.

    ``id`` is None if the job has ended: then its end follows at once, and a reader that is cut off
    between the two has to get both again. ``reset``: the reader had read events before, but not all
    events after them are known any more.
    """

    id: EventId | None
    jobs: tuple[Snapshot, ...]
    reset: bool


@dataclass(frozen=True)
class Happened:
    """An event. ``job``: after its end the job; None if it was deleted since."""

    id: EventId
    event: JobEvent
    job: Snapshot | None = None


class EventStream:
    """Every event of ``topic`` after ``since``, each once and in order.

    It begins with the state of the jobs if ``since`` is None, or if not all events after ``since``
    are known. First ``open`` it, then read ``items``. The stream of one job ends with its end, or
    with its deletion.
    """

    def __init__(
        self, client: JobStoreClient, hub: EventHub, topic: Topic, since: EventId | None
    ) -> None:
        self._client = client
        self._hub = hub
        self._topic = topic
        self._since = since
        self._next: deque[Begin | Happened] = deque()
        self._read: EventId = since or ("", 0)  # everything up to here was passed on or is in _next
        self._passed: EventId = self._read  # everything up to here was passed on
        self._idle: EventReader | None = None  # what it waits for, if it waits

    async def open(self) -> bool:
        """Find out where to begin. Returns False if the reader has read everything, and nothing
        more will come because the job has ended.

        Raises JobNotFound, JobExpired, StoreUnavailable and TooManyStreams.
        """
        self._hub.check()
        if self._since is None:
            self._begin(await self._client.state(self._topic), reset=False)
            return True
        await self._catch_up()
        return bool(self._next) or not isinstance(self._topic, OfJob) or not await self._is_over()

    async def _is_over(self) -> bool:
        """Whether the job has ended, and its end is not an event that is still to be passed on."""
        assert isinstance(self._topic, OfJob)
        record = (await self._client.apply(Get(self._topic.job_id))).record
        if not record.status.ended:
            return False
        deadline = time.monotonic() + LATE_SECONDS
        while not self._next and (left := deadline - time.monotonic()) > 0:
            found = await self._client.events(self._read, left, self._topic)
            if found.missed:  # the job store actor was replaced just now
                return False
            self._add(found)
        return not self._next

    @property
    def id(self) -> EventId:
        """A reader that comes back with this id misses nothing and gets nothing twice."""
        reader = self._idle
        if reader is not None and reader.empty and reader.continues(self._read):
            return self._hub.at or self._passed
        return self._passed

    async def items(self) -> AsyncGenerator[Begin | Happened, None]:
        """What happens. While the job store is unavailable, nothing comes."""
        with self._hub.join(self._topic) as reader, contextlib.suppress(JobNotFound, JobExpired):
            while True:
                while self._next:
                    item = await self._with_job(self._next.popleft())
                    self._passed = item.id or self._passed
                    yield item
                    if self._is_last(item):
                        return
                self._passed = self._read
                await self._wait(reader)

    def _is_last(self, item: Begin | Happened) -> bool:
        if not isinstance(self._topic, OfJob) or isinstance(item, Begin):
            return False
        return item.event.kind in (EventKind.ENDED, EventKind.DELETED)

    async def _with_job(self, item: Begin | Happened) -> Begin | Happened:
        """The item, with the job if it has ended."""
        if isinstance(item, Begin) or item.job or item.event.kind is not EventKind.ENDED:
            return item
        while True:
            try:
                return replace(item, job=await self._client.apply(Get(item.event.job_id)))
            except (JobNotFound, JobExpired):
                return item
            except StoreUnavailable:
                await asyncio.sleep(PAUSE)

    async def _wait(self, reader: EventReader) -> None:
        """Wait until there is something to pass on."""
        closed: EventId | None = None  # the gap before this was read from the log
        while not self._next:
            changed = reader.changed
            if reader.continues(self._read):
                assert self._hub.at is not None
                epoch, seen = self._read
                new = [(version, event) for version, event in reader.take() if version > seen]
                self._next.extend(Happened((epoch, version), event) for version, event in new)
                self._read = max(self._read, self._hub.at)
                if new:
                    return
                self._passed = self._read
            elif reader.since != closed:
                closed = reader.since
                await self._catch_up_patiently()
                continue
            self._idle = reader
            try:
                await changed.wait()
            finally:
                self._idle = None

    async def _catch_up_patiently(self) -> None:
        while True:
            try:
                await self._catch_up()
                return
            except StoreUnavailable:
                await asyncio.sleep(PAUSE)

    async def _catch_up(self) -> None:
        """Read from the log what came after ``_read``, or the state. Raises StoreUnavailable, and
        JobNotFound or JobExpired if the job no longer exists."""
        found = await self._client.events(self._read, 0, self._topic)
        if found.missed:
            self._begin(await self._client.state(self._topic), reset=True)
        else:
            self._add(found)

    def _add(self, found: Entries[JobEvent]) -> None:
        self._next.extend(
            Happened((found.epoch, version), event) for version, event in found.entries
        )
        self._read = (found.epoch, found.version)

    def _begin(self, state: State, *, reset: bool) -> None:
        self._read = state.id
        if isinstance(self._topic, OfJob) and state.jobs[0].record.status.ended:
            (job,) = state.jobs
            self._next.append(Begin(None, state.jobs, reset))
            self._next.append(Happened(state.id, _end(job), job))
        else:
            self._next.append(Begin(state.id, state.jobs, reset))


def _end(job: Snapshot) -> JobEvent:
    """The event of an end that came before the stream."""
    record = job.record
    return JobEvent(
        EventKind.ENDED,
        record.job_id,
        record.owner,
        record.finished_at or 0.0,
        record.status,
        record.attempt,
        error_code=record.error_code,
    )
