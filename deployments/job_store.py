"""The job store actor: one process that owns the store, found by name, restarted by Ray."""

import asyncio
import logging
import os
import time
from dataclasses import replace

import ray

from acestep_ray.jobs.demand import Demand
from acestep_ray.jobs.desk import JobDesk
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.roster import Announcement, Roster, RosterView, Version
from acestep_ray.jobs.snapshot import Capacity, Changes, QueueStats
from acestep_ray.jobs.store.open import open_store
from acestep_ray.jobs.store.protocol import Op, StoreUnavailable, StoreUnsuitable
from acestep_ray.settings import Settings
from acestep_ray.shared_work import SharedCall, start_task
from deployments.node_guard import watch_nodes
from deployments.replica_watch import watch_replicas

logger = logging.getLogger(__name__)

MAX_CALLS = 10_000
"""Calls at a time: most are long polls that only wait."""
OPEN_AGAIN = 1.0
"""Seconds between two attempts to open the store: each may take its time, and callers queue up."""


class JobStoreActor:
    """A desk and a roster behind Ray calls. Every call may come twice and means once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roster = Roster()
        self._open_desk = SharedCall(self._try_to_open)
        self._desk: JobDesk | None = None
        self._refused = StoreUnavailable()  # why it could not be opened, and when
        self._refused_at = float("-inf")
        self._watches: list[asyncio.Task[None]] = []

    async def _open(self) -> JobDesk:
        """The desk, opened at the first call: Ray restarts an actor, but calls only ``__init__``.

        A store that cannot be opened now raises StoreUnavailable; a later call tries again.
        """
        self._watch()
        if self._desk is None:
            if time.monotonic() - self._refused_at < OPEN_AGAIN:
                raise self._refused
            self._desk = await self._open_desk()
        return self._desk

    def _watch(self) -> None:
        if not self._watches:
            watches = watch_nodes(self._settings), watch_replicas(self._roster)
            self._watches = [start_task(watch) for watch in watches]

    async def _try_to_open(self) -> JobDesk:
        desk = JobDesk(lambda: open_store(self._settings), self._settings)
        try:
            await desk.open()
        except (StoreUnavailable, StoreUnsuitable) as error:
            # What is unsuitable may be put right meanwhile, too, and waiting jobs go on then.
            if str(error) != str(self._refused):
                logger.error("%s", error)
            self._refused, self._refused_at = StoreUnavailable(str(error)), time.monotonic()
            raise self._refused from error
        return desk

    async def apply(self, batch: list[Op]) -> list[object]:
        """Apply store operations; see JobDesk.apply."""
        desk = await self._open()
        try:
            desk.check()
        except RuntimeError:
            # A desk without maintenance leaves lost jobs lost. Ray starts a new process.
            logger.critical("The job desk has stopped; replacing this process", exc_info=True)
            os._exit(1)
        return await desk.apply(batch)

    async def report(
        self, runner: str, capacity: Capacity, progress: list[tuple[str, int, Progress]]
    ) -> None:
        """Note how far a runner's jobs are."""
        await (await self._open()).report(runner, capacity, progress)

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        """Long-poll the feed of changed jobs."""
        return await (await self._open()).changes(since, seconds)

    async def stats(self) -> QueueStats:
        """Counts and figures."""
        return await (await self._open()).stats()

    async def demand(self) -> Demand:
        """What is asked of the engines now."""
        demand = await (await self._open()).demand()
        return replace(demand, slots=self._roster.view().slots)

    async def announce(self, announcement: Announcement, seconds: float) -> None:
        """Note an engine replica's word, and answer after ``seconds``.

        A call that is under way when this process dies is made again by Ray to the next one, which
        so hears of everybody at once.
        """
        self._watch()
        self._roster.announce(announcement, time.monotonic())
        await asyncio.sleep(seconds)

    async def roster(self, seen: Version | None, seconds: float) -> RosterView:
        """Long-poll which engine replicas live."""
        return await self._roster.changed(seen, seconds)


RemoteJobStore = ray.remote(JobStoreActor)
