"""A log of the last changes, kept in memory, and a long poll on it."""

import asyncio
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

KEPT = 10_000
"""Number of changes that a log keeps."""


@dataclass(frozen=True)
class Changes:
    """The jobs (``job_ids``) that changed since the version that the reader has.

    ``version``: number of the last change. ``missed``: the log no longer has all changes since then
    (it is new, or the reader is too late), so the reader must read everything again. ``epoch``
    changes when the log's owner is restarted.
    """

    epoch: str
    version: int
    job_ids: tuple[str, ...] = field(default=())
    missed: bool = False


class ChangeLog:
    """Numbers each change with a version, from 1. In one event loop.

    The last ``capacity`` changes are kept; a reader that needs older ones gets ``missed``. All
    waiters share one event, so a waiter costs only a timer until something changes.
    """

    def __init__(self, capacity: int = KEPT) -> None:
        self.epoch = uuid.uuid4().hex
        self._last: deque[str] = deque(maxlen=capacity)
        self._version = 0
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def version(self) -> tuple[str, int]:
        """Epoch and number of the last change."""
        return self.epoch, self._version

    def publish(self, job_ids: Iterable[str]) -> None:
        """Add these changes, in this order."""
        before = self._version
        for job_id in job_ids:
            self._last.append(job_id)
            self._version += 1
        if self._version > before:
            self._wake()

    def miss(self) -> None:
        """Make every reader read everything again; readers that wait return at once."""
        self.epoch = uuid.uuid4().hex
        self._wake()

    def close(self) -> None:
        """Let all calls of ``since`` return at once, those that wait now and later ones."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def since(self, seen: tuple[str, int] | None, seconds: float) -> Changes:
        """What changed after ``seen`` (epoch, version). Waits up to ``seconds`` for a change.

        Returns ``missed`` at once to a new reader (None), to one with another epoch and to one that
        is too late.
        """
        if seen is None or self._missed(seen):
            return Changes(self.epoch, self._version, missed=True)
        if seen[1] == self._version and seconds > 0 and not self._closed:
            changed = self._changed
            try:
                async with asyncio.timeout(seconds):
                    await changed.wait()
            except TimeoutError:
                return Changes(self.epoch, self._version)
            if self._missed(seen):
                return Changes(self.epoch, self._version, missed=True)
        return Changes(self.epoch, self._version, self._after(seen[1]))

    def _missed(self, seen: tuple[str, int]) -> bool:
        epoch, version = seen
        kept = self._version - len(self._last) <= version <= self._version
        return epoch != self.epoch or not kept

    def _after(self, version: int) -> tuple[str, ...]:
        """Ids of the changes after ``version``, each once, the earliest change first."""
        newest_first = reversed(self._last)
        recent = [next(newest_first) for _ in range(self._version - version)]
        return tuple(dict.fromkeys(reversed(recent)))
