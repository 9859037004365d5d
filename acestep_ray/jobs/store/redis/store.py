"""RedisStore: a batch of operations is one script, which Redis runs as a whole."""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any

from redis import exceptions as r

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store import protocol as p
from acestep_ray.jobs.store.redis import durability, wire
from acestep_ray.jobs.store.redis.connection import Address, Connection
from acestep_ray.jobs.store.redis.peers import RedisPeers
from acestep_ray.jobs.store.redis.script import (
    PREFIX,
    SCHEMA_VERSION,
    Script,
    evaluate,
    refuse_newer,
    script,
)

logger = logging.getLogger(__name__)

TIMEOUT = 3.0
"""Seconds that an answer is waited for, unless told otherwise."""

_READS = (p.Get, p.ListJobs, p.Owns, p.Garbage, p.Stats, p.Backlog)
_READ = script("no-writes")
_WRITE = script("allow-oom")  # a full Redis goes on with the jobs it has, and may forget some
_GROW = script("")  # and takes no new ones
_EMPTY_REQUESTS = 1000
_META = PREFIX + "meta"


class RedisStore:
    """A JobStore in the Redis at ``url`` (redis://, rediss://, unix://).

    Any number of stores may be open on it. ``password`` is used where the URL has none. Raises
    StoreUnavailable when it cannot be reached, StoreUnsuitable when it would lose jobs, is too old
    or does not let us in, SchemaTooNew when a later release wrote it.
    """

    def __init__(self, url: str, password: str | None = None, timeout: float = TIMEOUT) -> None:
        self._address = Address(url, password)
        self._timeout = timeout
        self._connection = Connection(self._address, timeout)
        self._name = uuid.uuid4().hex
        self._changes: list[tuple[str, Status]] = []
        # Lease requests that found nothing: repeated, they must find nothing again. Not worth a
        # write each; after a restart a repeated one is answered as new, to the one who asks again.
        self._found_nothing: deque[tuple[str, str]] = deque(maxlen=_EMPTY_REQUESTS)
        self._untold = threading.Event()  # a batch may have changed jobs, and did not say which
        self._closed = False
        try:
            with self._address.failures():
                # First of all to the node that has the keys, where Redis is a cluster.
                self._connection.execute("EXISTS", _META)
                self._settles = durability.check(self._connection)
                self._agree()
        except p.StoreUnavailable as error:
            self.close()
            if isinstance(error.__cause__, r.AuthenticationError):
                raise p.StoreUnsuitable(str(error)) from error
            raise
        except BaseException:
            self.close()
            raise

    def apply(self, batch: Sequence[p.Op], now: float) -> list[object]:
        """See JobStore."""
        if self._closed:
            raise p.StoreUnavailable("The job store is closed.")
        reads = all(isinstance(op, _READS) for op in batch)
        grows = any(isinstance(op, p.Submit) for op in batch)
        data = wire.packed([(type(op).__name__, self._fields(op)) for op in batch], now)
        try:
            with self._address.failures():
                replies, changes = self._run(_READ if reads else _GROW if grows else _WRITE, data)
                self._changes += wire.changes(changes)
                if grows and self._settles:
                    durability.settle(self._connection)
        except BaseException:
            if not reads:
                self._untold.set()
            raise
        answers = [wire.answer(op, reply) for op, reply in zip(batch, replies, strict=True)]
        for op, answer in zip(batch, answers, strict=True):
            if isinstance(op, p.Lease) and not answer:
                self._found_nothing.append((op.runner, op.request_id))
        return answers

    def take_changes(self) -> list[tuple[str, Status]]:
        """See JobStore."""
        changes, self._changes = self._changes, []
        return changes

    def peers(self) -> RedisPeers:
        """See JobStore."""
        return RedisPeers(Connection(self._address, self._timeout), self._name, self._untold)

    def close(self) -> None:
        """See JobStore. Closing twice is closing once."""
        self._closed = True
        self._connection.close()

    def _fields(self, op: p.Op) -> dict[str, Any]:
        fields = dict(vars(op))
        if isinstance(op, p.Lease):
            fields["found_nothing"] = (op.runner, op.request_id) in self._found_nothing
        return fields

    def _run(self, script: Script, data: bytes) -> Any:
        """What the script answers. A batch may be repeated: it means what it means once."""
        reply = evaluate(self._connection, script, self._name, data)
        if reply[0] is False:  # the database was emptied, or migrated by a later release
            self._untold.set()
            self._agree()
            reply = evaluate(self._connection, script, self._name, data)
            if reply[0] is False:
                raise p.StoreUnavailable(f"{self._address.name} changes its schema just now.")
        return reply

    def _agree(self) -> None:
        """Raise SchemaTooNew where the database is not for this release; mark an empty one."""
        self._connection.execute("HSETNX", _META, "version", SCHEMA_VERSION)
        version, importing = self._connection.execute("HMGET", _META, "version", "importing")
        refuse_newer(self._address.name, int(version))
        if importing:
            raise p.StoreUnsuitable(
                f"{self._address.name} holds only a part of {importing.decode()}; run"
                " `acestep-ray migrate-store` to its end first."
            )
