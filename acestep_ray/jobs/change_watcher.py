"""Following which jobs change: one long poll serves every waiter of a process."""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from acestep_ray.jobs.coordinator.change_log import Changes
from acestep_ray.shared_work import start_task

logger = logging.getLogger(__name__)

Poll = Callable[[tuple[str, int] | None, float], Awaitable[Changes]]
"""``poll(since, seconds)``: see JobCoordinator.changes."""

POLL_SECONDS = 10.0
MOST_OFTEN = 0.02
"""Seconds from one poll's return to the next at least: under load, many changes come with one."""


class ChangeWatcher:
    """Polls the change log while there are watchers, and as long as ``follow_for`` says.

    ``clock``: seconds from any start.
    """

    def __init__(self, poll: Poll, clock: Callable[[], float] = time.monotonic) -> None:
        self._poll = poll
        self._clock = clock
        self._watchers: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._until = float("-inf")
        self._follower: asyncio.Task[None] | None = None
        self.heard_at = float("-inf")
        """When the last poll returned. Every change until its beginning is known, if it is one of
        the polls that are made now."""

    @property
    def follows(self) -> bool:
        """Whether it follows the changes now."""
        return self._follower is not None and not self._follower.done()

    def follow_for(self, seconds: float) -> None:
        """Follow the changes for so long from now."""
        self._until = self._clock() + seconds
        self._follow()

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when the job changes after this moment.

        It may be set without a change: read the job again.
        """
        changed = asyncio.Event()
        self._watchers[job_id].add(changed)
        self._follow()
        try:
            yield changed
        finally:
            self._watchers[job_id].discard(changed)
            if not self._watchers[job_id]:
                del self._watchers[job_id]

    def _follow(self) -> None:
        if not self.follows:
            self.heard_at = float("-inf")  # what changed meanwhile is unknown
            self._follower = start_task(self._poll_on(), name="changes of jobs")

    async def _poll_on(self) -> None:
        since: tuple[str, int] | None = None
        while self._watchers or self._clock() < self._until:
            try:
                changes = await self._poll(since, POLL_SECONDS)
            except Exception as error:
                logger.warning("The changes of jobs cannot be read: %s; trying again", error)
                await asyncio.sleep(1)
                continue
            soon = MOST_OFTEN - (self._clock() - self.heard_at)
            self.heard_at = self._clock()
            since = (changes.epoch, changes.version)
            ids = list(self._watchers) if changes.missed else changes.job_ids
            for job_id in ids:
                for watcher in self._watchers.get(job_id, ()):
                    watcher.set()
            if soon > 0:
                await asyncio.sleep(soon)
