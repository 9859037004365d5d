"""How many processor cores this process may use, and how many takes it encodes at a time."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> float:
    """Those on which the system lets it run, within the quota of its container (cgroup v2)."""
    has_affinity = hasattr(os, "sched_getaffinity")  # Linux
    cores = float(len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1)
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores  # no such limit on this system
    return cores if quota == "max" else min(cores, int(quota) / int(period))


def encoders_for(wanted: int, cores: float, replicas: int) -> int:
    """How many takes a replica encodes at a time: ``wanted``, or if that is 0 as many as its share
    of the cores allows.

    ``cores``: those that all ``replicas`` of the node may use. One is left to the thread that
    drives the device. At least 2, because an encoder needs its core only from time to time; at most
    16, which keep up with a device that makes 480 s of MP3 a second.
    """
    return wanted or min(16, max(2, int(cores / replicas) - 1))
