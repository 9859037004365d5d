"""Checks, when the store opens, whether this Redis can lose jobs: refuse it, warn, or wait."""

import time
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from acestep_ray.jobs.store.errors import StoreUnavailable, StoreUnsuitable
from acestep_ray.jobs.store.redis.connection import Connection

OLDEST = (7, 0)
"""First version whose scripts have flags (such as no-writes)."""
WAITAOF_SINCE = (7, 2)
WAITAOF_SECONDS = 2.0
"""Longest time that a submit waits for the disk; with everysec it is one second."""
SKEW_SECONDS = 1.0
"""Difference of two clocks above which there is a warning."""
NEARLY_FULL = 0.9
"""Used part of ``maxmemory`` above which there is a warning."""


@dataclass(frozen=True)
class Durability:
    """What this Redis keeps. ``waits``: a submit has to wait for the disk with ``settle``.
    ``warnings``: what may be lost or refused, one sentence each."""

    version: str
    appendfsync: str
    """Empty if nothing is written to disk."""
    waits: bool
    warnings: tuple[str, ...]


def check(connection: Connection) -> Durability:
    """How durable this Redis is. Changes nothing in it.

    Raises StoreUnsuitable for a Redis that would lose jobs at a restart or is too old.
    """
    name = connection.address.name
    info: dict[str, Any] = connection.execute("INFO")
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST:
        raise StoreUnsuitable(
            f"{name} has version {info['redis_version']}; a job store needs 7.0 or later."
        )
    warnings = [*_clock(connection), *_room(name, info)]
    if connection.address.volatile:
        return Durability(info["redis_version"], "", False, tuple(warnings))
    if not info.get("aof_enabled"):
        raise StoreUnsuitable(
            f"{name} has no append-only file, so that a restart loses jobs; set appendonly yes in"
            " its configuration, or allow the loss by ?volatile=allow in ACESTEP_STORE."
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy.startswith("allkeys") and info.get("maxmemory"):
        raise StoreUnsuitable(
            f"{name} has maxmemory-policy {policy}, so that it forgets jobs when it is full; set"
            " maxmemory-policy noeviction, or allow the loss by ?volatile=allow in ACESTEP_STORE."
        )
    if info.get("aof_last_write_status", "ok") != "ok":
        warnings.append(
            f"{name} could not write its append-only file the last time, so that what comes now may"
            " be lost; make room on its disk, and read its log."
        )
    appendfsync = _appendfsync(connection)
    waits = appendfsync != "always" and (
        version >= WAITAOF_SINCE and appendfsync != "no" and _may_wait(connection)
    )
    if not waits and appendfsync != "always":
        warnings.append(
            f"{name} has appendfsync {appendfsync}: when its machine dies, so may the last jobs"
            " that were accepted; set appendfsync always, or everysec with Redis 7.2 or later."
        )
    return Durability(info["redis_version"], appendfsync, waits, tuple(warnings))


def _appendfsync(connection: Connection) -> str:
    try:
        (_, appendfsync) = connection.execute("CONFIG GET", "appendfsync").popitem()
    except ResponseError:  # a managed Redis forbids the command
        return "unknown"
    return str(appendfsync)


def _may_wait(connection: Connection) -> bool:
    try:
        settle(connection)
    except ResponseError:  # a managed Redis forbids this command, too
        return False
    return True


def _clock(connection: Connection) -> list[str]:
    """Leases are written by the clocks of several machines, which therefore must agree."""
    before = time.time()
    seconds, microseconds = connection.execute("TIME")
    skew = seconds + microseconds / 1e6 - (before + time.time()) / 2
    if abs(skew) <= SKEW_SECONDS:
        return []
    return [
        f"{connection.address.name} has a clock that is {skew:.1f} s off this machine's; leases"
        " need clocks that agree, so keep both by NTP."
    ]


def _room(name: str, info: dict[str, Any]) -> list[str]:
    most, used = int(info.get("maxmemory") or 0), int(info.get("used_memory") or 0)
    if used <= NEARLY_FULL * most or not most:
        return []
    return [
        f"{name} uses {used / 1e6:,.0f} MB of its maxmemory of {most / 1e6:,.0f} MB, and takes no"
        " new jobs when it is full; raise maxmemory, or keep jobs for less time"
        " (ACESTEP_JOBS__KEEP)."
    ]


def settle(connection: Connection) -> None:
    """Wait until everything that this connection wrote is on disk. Raises StoreUnavailable."""
    local, _ = connection.execute("WAITAOF", 1, 0, round(WAITAOF_SECONDS * 1000))
    if not local:
        raise StoreUnavailable(
            f"{connection.address.name} did not write to its disk within {WAITAOF_SECONDS:g} s."
        )
