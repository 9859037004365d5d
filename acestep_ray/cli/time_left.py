"""How long a job still takes, as far as it is known."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acestep_ray.client.models import JobState


class TimeLeft:
    """Of one job. While it waits, the service's estimate; while it runs, by its progress so far."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends_at: float | None = None
        self._began: tuple[int, float, float] | None = None
        """Of the present attempt: its number, when its progress was first known, and how much."""

    def update(self, state: "JobState") -> None:
        """Take in another state of the job."""
        now = self._clock()
        progress = state.progress
        if progress is None:
            self._began = None
            self._ends_at = None if state.eta_seconds is None else now + state.eta_seconds
            return
        waits = progress.stage == "waiting"  # for a decoder: that is no measure of its work
        if self._began is None or self._began[0] != state.attempts or waits:
            self._began = (state.attempts, now, progress.fraction)
            self._ends_at = None
        _, since, at_first = self._began
        done = progress.fraction - at_first
        if done > 0 and now > since:
            self._ends_at = now + (1 - progress.fraction) * (now - since) / done

    @property
    def seconds(self) -> float | None:
        """Seconds that are left, at least 0; None: not known."""
        return None if self._ends_at is None else max(0.0, self._ends_at - self._clock())


def duration(seconds: float) -> str:
    """Such as ``5 s``, ``2 min 05 s`` or ``3 h 07 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"
