"""Work with a limit on its time, whatever it waits for."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """What ``make`` yields, in a thread of its own, from now on for ``seconds`` at most.

    The thread is left alone if it takes longer, and ends with the process.
    """

    def __init__(self, seconds: float, make: Callable[[], Iterator[T]]) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._make = make
        self._found: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def results(self) -> tuple[list[T], Exception | None]:
        """What was found in time, and what it was ended by: an error of its own, TimeoutError, or
        None if it came to its end."""
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        if self._thread.is_alive():
            return list(self._found), TimeoutError(f"it took more than {self._seconds:g} s")
        return list(self._found), self._error

    def _run(self) -> None:
        try:
            for one in self._make():
                self._found.append(one)
        except Exception as error:
            self._error = error


def within(seconds: float, make: Callable[[], T]) -> T | None:
    """What ``make`` returns; None if it takes longer, or fails."""
    found, _ = Bounded(seconds, lambda: iter((make(),))).results()
    return found[0] if found else None
