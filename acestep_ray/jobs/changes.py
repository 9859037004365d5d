"""The feed of changed jobs: a bounded memory of what changed last, and a long poll on it."""

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable

from acestep_ray.jobs.snapshot import Changes

CAPACITY = 10_000


class ChangeFeed:
    """Numbers each change with a version, from 1. In one event loop.

    The last ``capacity`` changes are kept; a reader that comes later than that is told ``missed``.
    All waiters share one event, so a waiter costs a timer and no look until something changes.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.epoch = uuid.uuid4().hex
        self._last: deque[str] = deque(maxlen=capacity)
        self._version = 0
        self._news = asyncio.Event()
        self._closed = False

    @property
    def version(self) -> tuple[str, int]:
        """Epoch and number of the last change."""
        return self.epoch, self._version

    def publish(self, job_ids: Iterable[str]) -> None:
        """Tell that these jobs changed, in this order."""
        before = self._version
        for job_id in job_ids:
            self._last.append(job_id)
            self._version += 1
        if self._version > before:
            self._wake()

    def miss(self) -> None:
        """Tell every reader, the waiting ones at once, to look at everything."""
        self.epoch = uuid.uuid4().hex
        self._wake()

    def close(self) -> None:
        """Answer whoever waits, now and from now on, at once."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def since(self, seen: tuple[str, int] | None, seconds: float) -> Changes:
        """What changed after ``seen`` (epoch, version); waits up to ``seconds`` for the first.

        A new reader (None), one of another epoch and one that came too late are answered at once.
        """
        if seen is None or self._missed(seen):
            return Changes(self.epoch, self._version, missed=True)
        if seen[1] == self._version and seconds > 0 and not self._closed:
            news = self._news
            try:
                async with asyncio.timeout(seconds):
                    await news.wait()
            except TimeoutError:
                return Changes(self.epoch, self._version)
            if self._missed(seen):
                return Changes(self.epoch, self._version, missed=True)
        return Changes(self.epoch, self._version, self._after(seen[1]))

    def _missed(self, seen: tuple[str, int]) -> bool:
        epoch, version = seen
        here = self._version - len(self._last) <= version <= self._version
        return epoch != self.epoch or not here

    def _after(self, version: int) -> tuple[str, ...]:
        """Ids of the changes after ``version``, each once, the earliest change first."""
        newest_first = reversed(self._last)
        recent = [next(newest_first) for _ in range(self._version - version)]
        return tuple(dict.fromkeys(reversed(recent)))
