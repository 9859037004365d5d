"""Waiting for jobs to change: one long poll serves every waiter of a process."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from acestep_ray.jobs.coordinator.change_log import Changes
from acestep_ray.shared_work import start_task

logger = logging.getLogger(__name__)

Poll = Callable[[tuple[str, int] | None, float], Awaitable[Changes]]
"""``poll(since, seconds)``: see JobCoordinator.changes."""

POLL_SECONDS = 10.0


class ChangeWatcher:
    """Polls the change log while there are watchers."""

    def __init__(self, poll: Poll) -> None:
        self._poll = poll
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._follower: asyncio.Task[None] | None = None

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the job changes after this moment.

        It may be set without a change: read the job again.
        """
        changed = asyncio.Event()
        self._watchers[job_id].add(changed)
        if self._follower is None or self._follower.done():
            self._follower = start_task(self._follow())
        try:
            yield changed
        finally:
            self._watchers[job_id].discard(changed)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    async def _follow(self) -> None:
        since: tuple[str, int] | None = None
        while self._watchers:
            try:
                changes = await self._poll(since, POLL_SECONDS)
            except Exception as error:
                logger.warning("The changes of jobs cannot be read: %s; trying again", error)
                await asyncio.sleep(1)
                continue
            since = (changes.epoch, changes.version)
            ids = list(self._watchers) if changes.missed else changes.job_ids
            for job_id in ids:
                for watcher in self._watchers.get(job_id, ()):
                    watcher.set()
