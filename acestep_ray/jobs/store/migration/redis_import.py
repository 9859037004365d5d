"""Fills an empty Redis with the rows of another store. No store can open on it before the end."""

from collections.abc import Sequence
from typing import Any

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.errors import StoreUnsuitable
from acestep_ray.jobs.store.migration.counts import Counts
from acestep_ray.jobs.store.redis import codec, durability
from acestep_ray.jobs.store.redis.connection import Address, Connection
from acestep_ray.jobs.store.redis.script import (
    PREFIX,
    SCHEMA_VERSION,
    evaluate,
    refuse_newer,
    script,
)

TIMEOUT = 30.0
"""Longest wait for Redis, in seconds; long, because nothing else runs meanwhile."""
_META = PREFIX + "meta"
_DELIVERY = f"{PREFIX}delivery:".encode()
_WRITE = script("")


class RedisRestore:
    """Begun by ``begin``, filled by ``write``, and ended by ``finish``.

    The remains of an earlier, interrupted import are removed first. Raises StoreUnavailable and
    StoreUnsuitable.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        self._address = Address(url, password)
        self._connection = Connection(self._address, TIMEOUT)

    def begin(self, source: str, last_place: int) -> None:
        """Refuse a Redis that is in use; else mark it as being filled from ``source``."""
        self._execute("EXISTS", _META)  # connects to the node that has the keys, if it is a cluster
        with self._address.failures():
            self._settles = durability.check(self._connection).waits
        version, importing = self._execute("HMGET", _META, "version", "importing")
        refuse_newer(self._address.name, int(version or 0))
        if not importing:
            self._refuse_used()
        self._execute("HSET", _META, "importing", source)
        for key in self._keys():
            if key != _META.encode():
                self._execute("UNLINK", key)
        self._execute("HDEL", _META, "last_garbage", "last_delivery")
        self._execute("HSET", _META, "version", SCHEMA_VERSION, "last_place", last_place)

    def write(self, batch: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Apply operations of restore.lua."""
        if batch:
            with self._address.failures():
                evaluate(self._connection, _WRITE, "restore", codec.packed(batch, 0.0))

    def counts(self) -> Counts:
        """Numbers of what it contains now."""
        jobs = {s: int(self._execute("ZCARD", f"{PREFIX}status:{s}")) for s in Status}
        keys, tombstones, garbage = (
            int(self._execute("ZCARD", PREFIX + name))
            for name in ("idempotency:age", "tombstones", "garbage")
        )
        deliveries = sum(key.startswith(_DELIVERY) for key in self._keys())
        return Counts(jobs, keys, tombstones, garbage, deliveries)

    def finish(self) -> None:
        """Allow stores to open on this Redis."""
        self._execute("HDEL", _META, "importing")
        if self._settles:
            with self._address.failures():
                durability.settle(self._connection)

    def close(self) -> None:
        """Close the connection to the database."""
        self._connection.close()

    def _refuse_used(self) -> None:
        if any(key.startswith(f"{PREFIX}board:".encode()) for key in self._keys()):
            raise StoreUnsuitable(f"{self._address.name} is in use by a service; stop it first.")
        if self.counts() != Counts(dict.fromkeys(Status, 0), 0, 0, 0, 0):
            raise StoreUnsuitable(
                f"{self._address.name} holds jobs, or ids of jobs that are gone; name an empty"
                " database (such as redis://HOST:PORT/1)."
            )

    def _keys(self) -> list[bytes]:
        found: list[bytes] = []
        cursor = 0
        while True:
            cursor, keys = self._execute("SCAN", cursor, "MATCH", PREFIX + "*", "COUNT", 1000)
            found += keys
            if not cursor:
                return found

    def _execute(self, *command: Any) -> Any:
        with self._address.failures():
            return self._connection.execute(*command)
