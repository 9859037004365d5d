"""How long something has worked, while it may still be working."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class BusyTime:
    """Adds up the time in which at least one piece of work was under way. For any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._working = 0
        self._since = 0.0  # while working: up to here it is added up
        self._seconds = 0.0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Counts as work until it is left. Two at the same time count once."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def begin(self) -> None:
        """One more piece of work is under way. ``end`` must follow."""
        with self._lock:
            if self._working == 0:
                self._since = self._clock()
            self._working += 1

    def end(self) -> None:
        """One piece of work has ended."""
        with self._lock:
            self._add_up()
            self._working -= 1

    def take(self) -> float:
        """Seconds of work since the last call, including work that has not ended."""
        with self._lock:
            self._add_up()
            seconds, self._seconds = self._seconds, 0.0
        return seconds

    def _add_up(self) -> None:
        if self._working:
            now = self._clock()
            self._seconds += max(0.0, now - self._since)
            self._since = now
