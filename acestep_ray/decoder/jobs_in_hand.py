"""How many jobs a decoder replica holds at a time, so that its device does not wait for encoders.

One job is on the device; the takes of those before it are encoded and stored. The next job must be
in hand when the device has finished one. A place for it becomes free when an earlier job is stored,
so with ``n`` places the device is never idle if n - 1 jobs take the device as long as one job needs
from the device's end until it is stored.
"""

import math
from collections import deque
from dataclasses import dataclass
from statistics import mean

from acestep_ray.decoder.events import Decoded

FIRST = 2
"""Jobs of a replica that has finished none, and the fewest of all others."""
MOST = 16
"""The most jobs of any replica: ``max_ongoing_requests`` of the deployment, unless a Serve config
has another."""
RECENT = 8
"""The last jobs from which the number is computed."""
HANDOVER_SECONDS = 0.1
"""From a job's end until another one that waited is there: its lease and its sources."""
SAMPLE_BYTES = 8
"""Of one decoded sample: two channels of 32-bit floats."""
MOST_BYTES = 2 * 2**30
"""Of decoded takes in memory that are being encoded, or wait for it."""


@dataclass(frozen=True)
class JobTimes:
    """A finished job. ``device``: seconds on the device. ``after``: seconds from then until its
    takes were stored. ``takes``: how many; ``take_bytes``: of all of them, decoded."""

    device: float
    after: float
    takes: int
    take_bytes: int

    @classmethod
    def of(cls, decoded: Decoded) -> "JobTimes":
        """Those of a job that was just stored."""
        samples = sum(take.samples for take in decoded.takes)
        after = decoded.seconds["storing"]
        return cls(decoded.device_seconds, after, len(decoded.takes), samples * SAMPLE_BYTES)


class JobsInHand:
    """Computes the number from the last jobs. ``encoders``: takes that are encoded at a time."""

    def __init__(self, encoders: int) -> None:
        self._encoders = encoders
        self._recent: deque[JobTimes] = deque(maxlen=RECENT)

    def record(self, job: JobTimes) -> None:
        """Count a job that has been stored."""
        self._recent.append(job)

    @property
    def number(self) -> int:
        """How many jobs to hold at a time.

        More than can be encoded at a time, with one on the device and one that waits for encoders,
        would only wait: then the cores are the limit.
        """
        if not self._recent:
            return FIRST
        device = mean(job.device for job in self._recent)
        after = mean(job.after for job in self._recent) + HANDOVER_SECONDS
        takes = mean(job.takes for job in self._recent)
        take_bytes = mean(job.take_bytes for job in self._recent)
        needed = 1 + math.ceil(after / max(device, 1e-3))
        encoded = 2 + math.ceil(self._encoders / takes)
        in_memory = 1 + int(MOST_BYTES / max(take_bytes, 1))
        return max(FIRST, min(needed, encoded, in_memory, MOST))


def encoders_for(wanted: int, cores: float, replicas: int) -> int:
    """How many takes a replica encodes at a time: ``wanted``, or if that is 0 as many as its share
    of the cores allows.

    ``cores``: those that all ``replicas`` of the node may use. One is left to the thread that
    drives the device. At least 2, because an encoder needs its core only from time to time; at most
    16, which keep up with a device that makes 480 s of MP3 a second.
    """
    return wanted or min(16, max(2, int(cores / replicas) - 1))
