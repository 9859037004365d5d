"""Jobs as one process knows them: most polls are answered without the job store actor.

``KnownJobs`` is a JobStoreClient around another one. It keeps the jobs that are read, and hears of
their changes by the change log. It sees every answer that its process gets, so what it returns is
never older than what a client of this process was told before.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, cast

from cachetools import LRUCache

from acestep_ray.jobs.change_watcher import POLL_SECONDS, ChangeWatcher
from acestep_ray.jobs.client import PATIENCE, JobStoreClient, LeaseRequest
from acestep_ray.jobs.coordinator.change_log import Changes, Entries
from acestep_ray.jobs.events import EventId, JobEvent, Topic
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import QueueStats, Snapshot, State
from acestep_ray.jobs.store.answers import Answer
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Delete, Get, ListJobs, Operation, Submit
from acestep_ray.jobs.store.records import DeliveryRecord, JobRecord, Submitted
from acestep_ray.jobs.webhook import ProgressDelivery
from acestep_ray.replicas.registry import RegistrySnapshot
from acestep_ray.shared_work import start_task

FRESH_SECONDS = 1.0
"""How old progress, place in the queue and ETA may be; and how long a poll of a known job waits for
the actor."""
FOLLOW_SECONDS = 30.0
"""For how long after a poll the changes are followed."""
CONTACT_SECONDS = POLL_SECONDS + 5.0
"""A process that has not heard of the change log for so long no longer trusts what it knows."""
MOST_BYTES = 64 * 2**20
"""Of all jobs that are kept, by the length of their texts."""
OTHER_BYTES = 2000
"""Of a job besides its texts, about."""


@dataclass
class _Known:
    """``read_at``: when it was asked for. ``changed``: the job has changed since."""

    snapshot: Snapshot
    read_at: float
    changed: bool = False


@dataclass
class _Reading:
    """A call of the actor that reads a job. ``changed``: the job has changed since it began."""

    task: asyncio.Task[Snapshot]
    began: float
    changed: bool = False


class KnownJobs:
    """A JobStoreClient. In one event loop.

    A job that is known is returned at once if nothing is known to have changed it, and, while it
    has not ended, for FRESH_SECONDS. Otherwise it is read again, once for all who ask meanwhile. If
    the actor does not answer in FRESH_SECONDS, what is known is returned.

    ``clock``: seconds from any start. ``now``: epoch seconds.
    """

    def __init__(
        self,
        client: JobStoreClient,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._clock = clock
        self._now = now
        self._known: LRUCache[str, _Known] = LRUCache(MOST_BYTES, getsizeof=_size)
        self._readings: dict[str, _Reading] = {}
        self.watcher = ChangeWatcher(self.changes, clock)

    async def apply(self, op: Operation[object, Answer], patience: float = PATIENCE) -> Answer:
        """See JobStoreClient."""
        if isinstance(op, Get):
            return cast("Answer", await self._get(op.job_id, patience))
        answer = await self._client.apply(op, patience)
        if isinstance(op, Cancel | Delete):
            self._forget(op.job_id)
            self._changed_all()  # the places of others in the queue
        elif isinstance(op, ListJobs):
            self._compare(cast("Sequence[Snapshot]", answer))
        elif isinstance(op, Submit):
            self._forget(cast("Submitted", answer).job_id)  # an earlier job, if it was a repeat
        return answer

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        """See JobStoreClient."""
        found = await self._client.changes(since, seconds)
        if found.missed:
            self._changed_all()
        for job_id in found.job_ids:
            self._changed(job_id)
        return found

    async def events(
        self, since: EventId | None, seconds: float, topic: Topic | None = None
    ) -> Entries[JobEvent]:
        """See JobStoreClient."""
        found = await self._client.events(since, seconds, topic)
        for _, event in found.entries:
            if event.progress is None:
                self._forget(event.job_id)
            else:
                self._changed(event.job_id)
        return found

    async def state(self, topic: Topic) -> State:
        """See JobStoreClient."""
        state = await self._client.state(topic)
        self._compare(state.jobs)
        return state

    async def lease(self, request: LeaseRequest, patience: float = PATIENCE) -> list[JobRecord]:
        """See JobStoreClient."""
        return await self._client.lease(request, patience)

    async def report(self, progress: list[tuple[str, int, Progress]]) -> None:
        """See JobStoreClient."""
        await self._client.report(progress)

    async def deliveries(
        self, limit: int, lease_seconds: float, wait_seconds: float
    ) -> list[DeliveryRecord | ProgressDelivery]:
        """See JobStoreClient."""
        return await self._client.deliveries(limit, lease_seconds, wait_seconds)

    async def stats(self) -> QueueStats:
        """See JobStoreClient."""
        return await self._client.stats()

    async def replicas(self) -> RegistrySnapshot:
        """See JobStoreClient."""
        return await self._client.replicas()

    async def _get(self, job_id: str, patience: float) -> Snapshot:
        self.watcher.follow_for(FOLLOW_SECONDS)
        known = self._known.get(job_id)
        if known is not None and self._is_fresh(known):
            return known.snapshot
        reading = self._reading(job_id, patience)
        if known is None or _expired(known.snapshot, self._now()):
            return await asyncio.shield(reading.task)
        left = max(0.0, reading.began + FRESH_SECONDS - self._clock())
        try:
            async with asyncio.timeout(left):
                return await asyncio.shield(reading.task)
        except (TimeoutError, StoreUnavailable):
            if self._known.get(job_id) is known:
                return known.snapshot
        return await asyncio.shield(reading.task)  # meanwhile a client was told more than that

    def _is_fresh(self, known: _Known) -> bool:
        now = self._clock()
        if known.changed or now - self.watcher.heard_at > CONTACT_SECONDS:
            return False
        if known.snapshot.record.status.ended:
            return not _expired(known.snapshot, self._now())
        return now - known.read_at < FRESH_SECONDS

    def _reading(self, job_id: str, patience: float) -> _Reading:
        """The call that reads a job: the one that is made now, if the job has not changed since."""
        reading = self._readings.get(job_id)
        if reading is None or reading.changed:
            read: Coroutine[Any, Any, Snapshot] = self._client.apply(Get(job_id), patience)
            reading = _Reading(start_task(read), self._clock())
            self._readings[job_id] = reading
            reading.task.add_done_callback(lambda _: self._read(job_id, reading))
        return reading

    def _read(self, job_id: str, reading: _Reading) -> None:
        if self._readings.get(job_id) is reading:
            del self._readings[job_id]
        if reading.task.cancelled():
            return
        error = reading.task.exception()
        if error is None and reading.changed:
            self._compare([reading.task.result()])  # told to those who waited for it, and old now
        elif error is None:
            known = _Known(reading.task.result(), reading.began)
            if _size(known) <= self._known.maxsize:
                self._known[job_id] = known
        elif not isinstance(error, StoreUnavailable):  # it is no longer there
            self._known.pop(job_id, None)

    def _changed(self, job_id: str) -> None:
        """The job has changed. What is known of it is better than nothing."""
        if known := self._known.get(job_id):
            known.changed = True
        if reading := self._readings.get(job_id):
            reading.changed = True

    def _changed_all(self) -> None:
        for job_id in [*self._known, *self._readings]:
            self._changed(job_id)

    def _forget(self, job_id: str) -> None:
        """A client was told more of the job than what is known."""
        self._changed(job_id)
        self._known.pop(job_id, None)

    def _compare(self, told: Sequence[Snapshot]) -> None:
        """What a client was told of these jobs."""
        for snapshot in told:
            known = self._known.get(snapshot.record.job_id)
            if known and _state(known.snapshot) != _state(snapshot):
                self._forget(snapshot.record.job_id)


def _state(snapshot: Snapshot) -> tuple[Status, int]:
    return snapshot.record.status, snapshot.record.attempt


def _expired(snapshot: Snapshot, now: float) -> bool:
    return snapshot.expires_at is not None and snapshot.expires_at <= now


def _size(known: _Known) -> int:
    record = known.snapshot.record
    texts = (record.spec, record.plan, record.result, record.error)
    return OTHER_BYTES + sum(len(text) for text in texts if text)
