"""The operating system's limits: open files, processes, memory, and shared memory."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import psutil

from acestep_ray.startup.doctor.access import HAPROXY
from acestep_ray.startup.doctor.result import Result, ok, problem, warning
from acestep_ray.startup.doctor.setup import Setup

RAY_RAISES_TO = 65_536
"""Ray raises the soft limit of open files to this, if the hard limit allows it."""
FEWEST_FILES = 4096
"""Below this, Ray itself warns."""
FEWEST_FILES_HAPROXY = 11_000
"""With fewer, HAProxy does not start (docs/kubernetes.md)."""
FEWEST_TASKS = 4096
"""Processes and threads. A service with mock engines on two cores has about a thousand."""
LEAST_MEMORY = 2_000_000_000
"""Bytes that Ray and the service need, without models; measured: 1.2 GB in 25 processes."""
RAY_KILLS_AT = 0.95
"""Used part of the memory above which Ray ends workers."""
LEAST_SHARED_MEMORY = 1_000_000_000
SHARED_MEMORY = Path("/dev/shm")
CGROUP = Path("/sys/fs/cgroup")


def check_limits(_: Setup) -> Iterator[Result]:
    """See Check."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = soft if soft == resource.RLIM_INFINITY else max(soft, _least(hard, RAY_RAISES_TO))
    cure = (
        "raise it (ulimit -n 65536; docker run --ulimit nofile=65536; systemd: LimitNOFILE=65536)"
    )
    if os.environ.get(HAPROXY) == "1" and 0 <= files < FEWEST_FILES_HAPROXY:
        yield problem(
            f"HAProxy needs {FEWEST_FILES_HAPROXY} open files, and {files} are allowed: {cure}."
        )
    elif 0 <= files < FEWEST_FILES:
        yield warning(
            f"only {files} open files are allowed, so that clients may be cut off: {cure}."
        )
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space != resource.RLIM_INFINITY:
        yield warning(
            f"each process may use {space / 1e9:.1f} GB of addresses, and Ray and torch reserve "
            "much more than they use: lift that limit (ulimit -v unlimited)."
        )
    tasks = most_tasks()
    if tasks is not None and tasks < FEWEST_TASKS:
        yield warning(
            f"only {tasks} processes and threads are allowed, and Ray may need more: raise that "
            f"(ulimit -u {FEWEST_TASKS}; docker run --pids-limit {FEWEST_TASKS}; systemd: "
            "TasksMax)."
        )
    shown = "any number of" if files == resource.RLIM_INFINITY else f"{files:,}"
    yield ok(f"{shown} open files, {'any number of' if tasks is None else f'{tasks:,}'} processes")


def check_memory(setup: Setup) -> Iterator[Result]:
    """See Check."""
    total, free = memory()
    if free < LEAST_MEMORY and setup.service is None:
        yield warning(
            f"only {free / 1e9:.1f} GB of memory are free, and Ray and the service need about "
            f"{LEAST_MEMORY / 1e9:.0f} GB without models: end other programs."
        )
    elif free < (1 - RAY_KILLS_AT) * total:
        yield warning(
            f"more than {RAY_KILLS_AT:.0%} of the memory is used, so that Ray ends workers and "
            "their jobs run again: end other programs."
        )
    yield from _shared_memory()
    yield ok(f"{free / 1e9:.1f} of {total / 1e9:.1f} GB of memory are free")


def memory() -> tuple[int, int]:
    """Bytes of memory that this process, with all others of its container, may use; and how many
    of them are free."""
    machine = psutil.virtual_memory()
    total, free = int(machine.total), int(machine.available)
    limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
    if limit is not None and limit < total:
        return limit, min(free, max(0, limit - (used or 0)))
    return total, free


def most_tasks() -> int | None:
    """How many processes and threads may run; None: any number."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    # The limit of a user does not count for root.
    of_user = None if soft == resource.RLIM_INFINITY or os.geteuid() == 0 else soft
    found = [limit for limit in (of_user, _number(CGROUP / "pids.max")) if limit is not None]
    return min(found, default=None)


def _shared_memory() -> Iterator[Result]:
    if not SHARED_MEMORY.is_dir() or not os.access(SHARED_MEMORY, os.W_OK):
        yield problem(f"{SHARED_MEMORY}, which Ray needs, cannot be written: mount a tmpfs there.")
        return
    there = os.statvfs(SHARED_MEMORY)
    free = there.f_bavail * there.f_frsize
    if free < LEAST_SHARED_MEMORY:
        yield warning(
            f"{SHARED_MEMORY} has only {free / 1e6:,.0f} MB free, so that Ray keeps shared objects "
            "in slower files: delete files there, or docker run --shm-size 2g."
        )


def _least(hard: int, wanted: int) -> int:
    return wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)


def _number(file: Path) -> int | None:
    """The number in a file of the kernel; None if it holds none, such as "max"."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
