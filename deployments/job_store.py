"""The job store actor: one process that owns the store, found by name, restarted by Ray."""

import asyncio
import logging
import os
import time
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import ray

from acestep_ray.jobs.demand import Demand
from acestep_ray.jobs.desk import JobDesk
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.roster import Announcement, Roster, RosterView
from acestep_ray.jobs.snapshot import Capacity, Changes, QueueStats
from acestep_ray.jobs.store.protocol import JobStore, Op
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)

MAX_CALLS = 10_000
"""Calls at a time: most are long polls that only wait."""


def open_store(settings: Settings) -> JobStore:
    """The store that ``settings.store_url`` names. Raises ValueError for a scheme not known."""
    url = urlsplit(settings.store_url)
    if url.scheme != "sqlite":
        raise ValueError(f"ACESTEP_STORE must be a sqlite:///FILE URL, not {url.scheme}://…")
    # sqlite:///relative.db and sqlite:////absolute.db, as SQLAlchemy writes them.
    path = Path(unquote(url.path.removeprefix("/")))
    path.parent.mkdir(parents=True, exist_ok=True)
    return SqliteStore(path)


class JobStoreActor:
    """A desk and a roster behind Ray calls. Every call may come twice and means once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._roster = Roster(time.monotonic())
        self._opening = asyncio.Lock()
        self._desk: JobDesk | None = None

    async def _open(self) -> JobDesk:
        """The desk, opened at the first call: Ray restarts an actor, but calls only ``__init__``.

        A store that cannot be opened now raises StoreUnavailable; the next call tries again.
        """
        async with self._opening:
            if self._desk is None:
                desk = JobDesk(lambda: open_store(self._settings), self._settings)
                await desk.open()
                self._desk = desk
            return self._desk

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
        return replace(demand, slots=self._roster.view(time.monotonic()).slots)

    async def announce(self, announcement: Announcement) -> None:
        """Note an engine replica's word."""
        self._roster.announce(announcement, time.monotonic())

    async def roster(self) -> RosterView:
        """Which engine replicas live."""
        return self._roster.view(time.monotonic())


RemoteJobStore = ray.remote(JobStoreActor)
