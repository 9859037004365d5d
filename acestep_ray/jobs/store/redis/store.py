"""RedisStore: a batch of operations is one call of a script, which Redis runs as a whole."""

import logging
import threading
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any

from acestep_ray.jobs.store import errors
from acestep_ray.jobs.store import operations as ops
from acestep_ray.jobs.store.records import JobChange
from acestep_ray.jobs.store.redis import codec, durability
from acestep_ray.jobs.store.redis.connection import TIMEOUT, Address, Connection
from acestep_ray.jobs.store.redis.peers import RedisPeers
from acestep_ray.jobs.store.redis.script import (
    META,
    SCHEMA_VERSION,
    Script,
    evaluate,
    refuse_unusable,
    script,
)

logger = logging.getLogger(__name__)

_READS = (
    ops.Get,
    ops.ListJobs,
    ops.IsOwner,
    ops.ListGarbage,
    ops.Stats,
    ops.Backlog,
    ops.ListDeliveries,
)
_READ = script("no-writes")
_WRITE = script("allow-oom")  # for a full Redis: it continues with its jobs, and may delete some
_GROW = script("")  # a full Redis takes no new jobs
_EMPTY_REQUESTS = 1000


class RedisStore:
    """A JobStore in the Redis at ``url`` (redis://, rediss://, unix://).

    Any number of stores may be open on it. ``password`` is used if the URL has none; ``timeout``:
    seconds. Raises StoreUnavailable if it cannot be reached, StoreUnsuitable if it would lose jobs,
    is too old or refuses the password, SchemaTooNew if a later release wrote it.
    """

    def __init__(self, url: str, password: str | None = None, timeout: float = TIMEOUT) -> None:
        self._address = Address(url, password)
        self._timeout = timeout
        self._connection = Connection(self._address, timeout)
        self._name = uuid.uuid4().hex
        self._changes: list[JobChange] = []
        # Lease requests that returned no jobs: if repeated, they must return none again. They are
        # not stored. After a restart, a repeated one is treated as new; only its sender gets the
        # jobs.
        self._found_nothing: deque[tuple[str, str]] = deque(maxlen=_EMPTY_REQUESTS)
        # Set if a batch may have changed jobs and it is unknown which.
        self._unpublished = threading.Event()
        self._closed = False
        try:
            with self._address.opening():
                # First connect to the node that has the keys, if Redis is a cluster.
                self._connection.execute("EXISTS", META)
                durable = durability.check(self._connection)
                self._check_schema()
        except BaseException:
            self.close()
            raise
        self._settles = durable.waits
        for warning in durable.warnings:
            logger.warning("%s", warning)

    def apply(self, batch: Sequence[ops.Op], now: float) -> list[object]:
        """See JobStore."""
        if self._closed:
            raise errors.StoreUnavailable("The job store is closed.")
        reads = all(isinstance(op, _READS) for op in batch)
        grows = any(isinstance(op, ops.Submit) for op in batch)
        data = codec.packed([(type(op).__name__, self._fields(op)) for op in batch], now)
        try:
            with self._address.failures():
                replies, changes = self._run(_READ if reads else _GROW if grows else _WRITE, data)
                self._changes += codec.changes(changes)
                if grows and self._settles:
                    durability.settle(self._connection)
        except BaseException:
            if not reads:
                self._unpublished.set()
            raise
        answers = [codec.answer(op, reply) for op, reply in zip(batch, replies, strict=True)]
        for op, answer in zip(batch, answers, strict=True):
            if isinstance(op, ops.Lease) and not answer:
                self._found_nothing.append((op.runner, op.request_id))
        return answers

    def take_changes(self) -> list[JobChange]:
        """See JobStore."""
        changes, self._changes = self._changes, []
        return changes

    def peers(self) -> RedisPeers:
        """See JobStore."""
        return RedisPeers(Connection(self._address, self._timeout), self._name, self._unpublished)

    def close(self) -> None:
        """See JobStore. May be called twice."""
        self._closed = True
        self._connection.close()

    def _fields(self, op: ops.Op) -> dict[str, Any]:
        fields = dict(vars(op))
        if isinstance(op, ops.Lease):
            fields["found_nothing"] = (op.runner, op.request_id) in self._found_nothing
        return fields

    def _run(self, script: Script, data: bytes) -> Any:
        """Run the script. A batch may be sent twice: it then has the effect of one."""
        reply = evaluate(self._connection, script, self._name, data)
        if reply[0] is False:  # the database was emptied, or migrated by a later release
            self._unpublished.set()
            self._check_schema()
            reply = evaluate(self._connection, script, self._name, data)
            if reply[0] is False:
                raise errors.StoreUnavailable(f"{self._address.name} changes its schema just now.")
        return reply

    def _check_schema(self) -> None:
        """Write the version to an empty database. Raises SchemaTooNew and StoreUnsuitable."""
        self._connection.execute("HSETNX", META, "version", SCHEMA_VERSION)
        refuse_unusable(self._connection)
