"""How many processor cores this process may use."""

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
