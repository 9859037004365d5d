"""A log of the last changes, kept in memory, and a long poll on it."""

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT = 10_000
"""Number of entries that a log keeps."""


@dataclass(frozen=True)
class Entries(Generic[T]):
    """What was published after the version that the reader has: each entry with its version.

    ``version``: number of the last entry of the log. ``missed``: the log no longer has all entries
    since then (it is new, or the reader is too late), so the reader must read everything again.
    ``epoch`` changes when the log's owner is restarted.
    """

    epoch: str
    version: int
    entries: tuple[tuple[int, T], ...] = ()
    missed: bool = False


@dataclass(frozen=True)
class Changes:
    """As Entries, of a log of job ids: each job that changed once, the earliest change first."""

    epoch: str
    version: int
    job_ids: tuple[str, ...] = ()
    missed: bool = False

    @classmethod
    def of(cls, found: Entries[str]) -> "Changes":
        """Each entry once."""
        ids = tuple(dict.fromkeys(job_id for _, job_id in found.entries))
        return cls(found.epoch, found.version, ids, found.missed)


class ChangeLog(Generic[T]):
    """Numbers each entry with a version, from 1. In one event loop.

    The last ``capacity`` entries are kept; a reader that needs older ones gets ``missed``. All
    waiters share one event, so a waiter costs only a timer until something is published.
    """

    def __init__(self, capacity: int = KEPT) -> None:
        self.epoch = uuid.uuid4().hex
        self._last: deque[T] = deque(maxlen=capacity)
        self._version = 0
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def version(self) -> tuple[str, int]:
        """Epoch and number of the last entry."""
        return self.epoch, self._version

    def publish(self, entries: Iterable[T]) -> None:
        """Add these entries, in this order."""
        before = self._version
        for entry in entries:
            self._last.append(entry)
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

    async def since(
        self,
        seen: tuple[str, int] | None,
        seconds: float,
        keep: Callable[[T], bool] | None = None,
    ) -> Entries[T]:
        """What was published after ``seen`` (epoch, version). Waits up to ``seconds`` for an entry.

        ``keep``: which entries to return. Returns ``missed`` at once to a new reader (None), to one
        with another epoch and to one that is too late.
        """
        if seen is None or self._missed(seen):
            return Entries(self.epoch, self._version, missed=True)
        if seen[1] == self._version and seconds > 0 and not self._closed:
            changed = self._changed
            try:
                async with asyncio.timeout(seconds):
                    await changed.wait()
            except TimeoutError:
                return Entries(self.epoch, self._version)
            if self._missed(seen):
                return Entries(self.epoch, self._version, missed=True)
        after = self._after(seen[1])
        return Entries(self.epoch, self._version, tuple(e for e in after if not keep or keep(e[1])))

    def _missed(self, seen: tuple[str, int]) -> bool:
        epoch, version = seen
        kept = self._version - len(self._last) <= version <= self._version
        return epoch != self.epoch or not kept

    def _after(self, version: int) -> list[tuple[int, T]]:
        """The entries after ``version``, the earliest first."""
        newest_first = zip(range(self._version, version, -1), reversed(self._last), strict=False)
        return list(newest_first)[::-1]
