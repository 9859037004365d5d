"""How many jobs a decoder replica holds at a time, so that its device does not wait for encoders.

One job is on the device; the takes of those before it are encoded and stored. The next job must be
in hand when the device has finished one. A place for it becomes free when an earlier job is stored,
so with ``n`` places the device is never idle if n - 1 jobs take the device as long as one job needs
from the device's end until it is stored.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean

FIRST = 2
"""Jobs of a replica that has finished none, and the fewest of all others."""
MOST = 16
"""The most jobs of any replica: ``max_ongoing_requests`` of the deployment, unless a Serve config
has another."""
RECENT = 8
"""The last jobs from which the number is computed."""
HANDOVER_SECONDS = 0.1
"""From a job's end until another one that waited is there: its lease and its sources."""
MOST_BYTES = 2 * 2**30
"""Of the sound of all jobs in memory: sources, and takes until they are encoded."""


@dataclass(frozen=True)
class JobTimes:
    """A finished job. ``device``: seconds on the device. ``encoding``: seconds from then until its
    takes were encoded; ``storing``: from then until they were stored. ``takes``: how many.
    ``sound_bytes``: memory of its sound."""

    device: float
    encoding: float
    storing: float
    takes: int
    sound_bytes: int


class JobsInHand:
    """Computes the number from the last jobs. ``encoders``: takes that are encoded at a time.

    ``on_change`` is called after each change of the number.
    """

    def __init__(self, encoders: int) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.number = FIRST
        self._encoders = encoders
        self._recent: deque[JobTimes] = deque(maxlen=RECENT)

    def record(self, job: JobTimes) -> None:
        """Count a job that has been stored."""
        self._recent.append(job)
        before, self.number = self.number, self._computed()
        if self.number != before:
            self.on_change()

    def _computed(self) -> int:
        """The number for the last jobs.

        More than can be encoded at a time, with one on the device, one that waits for encoders, and
        those that wait for the storage, would only wait: then the cores are the limit.
        """
        device = max(mean(job.device for job in self._recent), 1e-3)
        encoding = mean(job.encoding for job in self._recent)
        storing = mean(job.storing for job in self._recent)
        takes = mean(job.takes for job in self._recent)
        sound_bytes = mean(job.sound_bytes for job in self._recent)
        needed = 1 + math.ceil((encoding + storing + HANDOVER_SECONDS) / device)
        at_work = 2 + math.ceil(self._encoders / takes) + int(storing / device)
        in_memory = 1 + int(MOST_BYTES / max(sound_bytes, 1))
        return max(FIRST, min(needed, at_work, in_memory, MOST))
