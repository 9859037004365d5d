"""How long a queued job may still wait."""

from collections.abc import Sequence
from statistics import fmean


def average_seconds(recent: Sequence[float], default: float) -> float:
    """Seconds a job takes: the mean of the ``recent`` ones, or ``default`` while there are none."""
    return fmean(recent) if recent else default


def eta_seconds(position: int, job_seconds: float, decoders: int) -> float:
    """Estimated wait left of the job at ``position`` (1 = next), seconds.

    position × job_seconds / decoders, as the contract gives it; while no decoder is up, as for one.
    """
    return position * job_seconds / max(1, decoders)
