"""Checks, when the store opens, whether this Redis can lose jobs: refuse it, warn, or wait."""

import logging
import time
from typing import Any

from redis.exceptions import ResponseError

from acestep_ray.jobs.store.errors import StoreUnavailable, StoreUnsuitable
from acestep_ray.jobs.store.redis.connection import Connection

logger = logging.getLogger(__name__)

OLDEST = (7, 0)
"""First version whose scripts have flags (such as no-writes)."""
WAITAOF_SINCE = (7, 2)
WAITAOF_SECONDS = 2.0
"""Longest time that a submit waits for the disk; with everysec it is one second."""
SKEW_SECONDS = 1.0
"""Difference of two clocks above which a warning is logged."""


def check(connection: Connection) -> bool:
    """Whether a submit has to wait for the disk with ``settle``.

    Raises StoreUnsuitable for a Redis that would lose jobs at a restart or is too old.
    """
    name = connection.address.name
    info: dict[str, Any] = connection.execute("INFO")
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if version < OLDEST:
        raise StoreUnsuitable(
            f"{name} has version {info['redis_version']}; a job store needs 7.0 or later."
        )
    _check_clock(connection)
    if connection.address.volatile:
        return False
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
    return _has_to_wait(connection, version)


def _has_to_wait(connection: Connection, version: tuple[int, ...]) -> bool:
    name = connection.address.name
    try:
        (_, appendfsync) = connection.execute("CONFIG GET", "appendfsync").popitem()
    except ResponseError:  # a managed Redis forbids the command
        appendfsync = "unknown"
    if appendfsync == "always":
        return False
    if version >= WAITAOF_SINCE and appendfsync != "no" and _may_wait(connection):
        return True
    logger.warning(
        "%s has appendfsync %s: when its machine dies, so may the last jobs that were accepted; set"
        " appendfsync always, or everysec with Redis 7.2 or later.",
        name,
        appendfsync,
    )
    return False


def _may_wait(connection: Connection) -> bool:
    try:
        settle(connection)
    except ResponseError:  # a managed Redis forbids this command, too
        return False
    return True


def _check_clock(connection: Connection) -> None:
    """Leases are written by the clocks of several machines, which therefore must agree."""
    before = time.time()
    seconds, microseconds = connection.execute("TIME")
    skew = seconds + microseconds / 1e6 - (before + time.time()) / 2
    if abs(skew) > SKEW_SECONDS:
        logger.warning(
            "The clock of %s is %.1f s off this machine's; leases need clocks that agree (NTP).",
            connection.address.name,
            skew,
        )


def settle(connection: Connection) -> None:
    """Wait until everything that this connection wrote is on disk. Raises StoreUnavailable."""
    local, _ = connection.execute("WAITAOF", 1, 0, round(WAITAOF_SECONDS * 1000))
    if not local:
        raise StoreUnavailable(
            f"{connection.address.name} did not write to its disk within {WAITAOF_SECONDS:g} s."
        )
