"""Fills an empty Redis with what another store held. Until it is whole, no store opens on it."""

from collections.abc import Sequence
from typing import Any

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.counts import Counts
from acestep_ray.jobs.store.protocol import StoreUnsuitable
from acestep_ray.jobs.store.redis import durability, wire
from acestep_ray.jobs.store.redis.connection import Address, Connection
from acestep_ray.jobs.store.redis.script import (
    PREFIX,
    SCHEMA_VERSION,
    evaluate,
    refuse_newer,
    script,
)

TIMEOUT = 30.0
"""Seconds that an answer is waited for: nobody else waits meanwhile."""
_META = PREFIX + "meta"
_WRITE = script("")


class RedisRestore:
    """Begun by ``begin``, filled by ``write``, and ended by ``finish``.

    What an earlier one left behind that did not come to its end is removed first. Raises
    StoreUnavailable and StoreUnsuitable.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        self._address = Address(url, password)
        self._connection = Connection(self._address, TIMEOUT)

    def begin(self, source: str, last_place: int) -> None:
        """Refuse a Redis that is in use; else mark it as taken by the restore of ``source``."""
        self._execute("EXISTS", _META)  # to the node that has the keys, where it is a cluster
        with self._address.failures():
            self._settles = durability.check(self._connection)
        version, importing = self._execute("HMGET", _META, "version", "importing")
        refuse_newer(self._address.name, int(version or 0))
        if not importing:
            self._refuse_what_is_used()
        self._execute("HSET", _META, "importing", source)
        for key in self._keys():
            if key != _META.encode():
                self._execute("UNLINK", key)
        self._execute("HDEL", _META, "last_garbage")
        self._execute("HSET", _META, "version", SCHEMA_VERSION, "last_place", last_place)

    def write(self, batch: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Apply operations of restore.lua."""
        if batch:
            with self._address.failures():
                evaluate(self._connection, _WRITE, "restore", wire.packed(batch, 0.0))

    def counts(self) -> Counts:
        """What is there now."""
        jobs = {s: int(self._execute("ZCARD", f"{PREFIX}status:{s}")) for s in Status}
        keys, tombstones, garbage = (
            int(self._execute("ZCARD", PREFIX + name))
            for name in ("idempotency:age", "tombstones", "garbage")
        )
        return Counts(jobs, keys, tombstones, garbage)

    def finish(self) -> None:
        """Let stores open on it."""
        self._execute("DEL", PREFIX + "changes")
        self._execute("HDEL", _META, "importing")
        if self._settles:
            with self._address.failures():
                durability.settle(self._connection)

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def _refuse_what_is_used(self) -> None:
        if any(key.startswith(f"{PREFIX}board:".encode()) for key in self._keys()):
            raise StoreUnsuitable(f"{self._address.name} is in use by a service; stop it first.")
        if self.counts() != Counts(dict.fromkeys(Status, 0), 0, 0, 0):
            raise StoreUnsuitable(
                f"{self._address.name} holds jobs, or ids of jobs that are gone; name an empty"
                " database (redis://HOST:PORT/1, say)."
            )

    def _keys(self) -> list[bytes]:
        found: list[bytes] = []
        cursor = 0
        while True:
            cursor, keys = self._execute("SCAN", cursor, "MATCH", PREFIX + "*", "COUNT", 1000)
            found += keys
            if not cursor:
                return found

    def _execute(self, *words: Any) -> Any:
        with self._address.failures():
            return self._connection.execute(*words)
