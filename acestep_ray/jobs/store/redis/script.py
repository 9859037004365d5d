"""The Lua script that applies a batch: its files joined to one, with constants from Python."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import msgpack
from redis.exceptions import NoScriptError

from acestep_ray.jobs.job import TRANSITIONS, ErrorCode
from acestep_ray.jobs.store import messages
from acestep_ray.jobs.store.errors import SchemaTooNew, StoreUnsuitable
from acestep_ray.jobs.store.redis.connection import Connection
from acestep_ray.jobs.store.webhook_messages import EVENTS

PREFIX = "{acestep}:"
"""Prefix of every key. The braces keep all keys on one node of a Redis Cluster."""

META = PREFIX + "meta"
"""Key of the schema's version, and of an import that has not ended."""

SCHEMA_VERSION = 1
"""Raise it if an older and a newer release would misread each other's keys. A new column is not a
reason to raise it."""

RECORD = (
    "job_id",
    "status",
    "created_at",
    "started_at",
    "finished_at",
    "place",
    "attempt",
    "starts",
    "needs_plan",
    "planner",
    "work",
    "runner",
    "error",
    "error_code",
    "plan_pending",
    "owner",
    "task",
    "webhook",
    "decoder",
)
"""Columns of a job that a JobRecord contains unchanged."""

COLUMNS = (
    *RECORD,
    "webhook_kinds",
    "lease_request",
    "released",
    "ended_by",
    "cluster",
    "plan_seconds",
    "device_seconds",
    "idempotency",
    "plans",
)
"""All columns of a job, with the meaning that they have in the SQLite schema. ``idempotency``: the
job's field in the hash of idempotency keys."""

DELIVERY = (
    "delivery_id",
    "job_id",
    "kind",
    "state",
    "created_at",
    "tries",
    "next_at",
    "last_try_at",
    "http_status",
    "error",
)
"""Columns of a webhook message that a DeliveryRecord contains unchanged. In addition a message has
``change`` (stored_change.py, as msgpack), ``number`` and ``lease_request``, with the meaning that
they have in the SQLite schema."""

KEEP_CHANGES = 10_000
"""About how many entries the stream of changes keeps."""

_PARTS = (
    "jobs",
    "clients",
    "leases",
    "attempts",
    "deliveries",
    "retention",
    "restore",
    "apply",
)


@dataclass(frozen=True)
class Script:
    """A Lua script and the digest by which Redis finds it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


def script(flags: str) -> Script:
    """The script with Redis's ``flags``. On a full database, a script with ``no-writes`` may run,
    one with ``allow-oom`` may also write, and one without flags is refused before it does
    anything."""
    folder = files("acestep_ray.jobs.store.redis") / "lua"
    parts = [(folder / f"{part}.lua").read_text() for part in _PARTS]
    return Script("\n".join([f"#!lua flags={flags}", _prelude(), *parts]))


def evaluate(connection: Connection, script: Script, store: str, data: bytes) -> Any:
    """Run the script on a batch (see codec.packed); ``store``: name of the store that sends it."""
    call = ("EVALSHA", script.sha, 1, PREFIX, store, data)
    try:
        reply = connection.execute(*call)
    except NoScriptError:  # Redis has restarted
        connection.execute("SCRIPT LOAD", script.text)
        reply = connection.execute(*call)
    return msgpack.unpackb(reply)


def refuse_newer(name: str, version: int) -> None:
    """Raise SchemaTooNew if the database was written by a later release."""
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"{name} has schema version {version}, but this release knows versions up to"
            f" {SCHEMA_VERSION}; run the release that wrote it, or a later one."
        )


def refuse_unusable(connection: Connection) -> None:
    """Raise SchemaTooNew if a later release wrote the database, and StoreUnsuitable if only a part
    of an import is there. An empty database is usable."""
    version, importing = connection.execute("HMGET", META, "version", "importing")
    refuse_newer(connection.address.name, int(version or 0))
    if importing:
        raise StoreUnsuitable(
            f"{connection.address.name} holds only a part of {importing.decode()}; run"
            " `acestep-ray migrate-store` to its end first."
        )


def _prelude() -> str:
    transitions = {f"{status} {event}": to for (status, event), to in TRANSITIONS.items()}
    texts = {
        "cancelled": messages.CANCELLED,
        "failed": messages.FAILED,
        "given_up": messages.GIVEN_UP,
        "given_up_unbegun": messages.GIVEN_UP_UNBEGUN,
        "overdue": messages.OVERDUE,
    }
    events = {str(change): str(event) for change, event in EVENTS.items()}
    return "\n".join(
        (
            f"local VERSION = '{SCHEMA_VERSION}'",
            f"local KEEP_CHANGES = {KEEP_CHANGES}",
            f"local TRANSITIONS = {_table(transitions)}",
            f"local MESSAGES = {_table(texts)}",
            f"local RECORD = {_list(RECORD)}",
            f"local COLUMNS = {_list(COLUMNS)}",
            f"local DELIVERY = {_list(DELIVERY)}",
            f"local EVENTS = {_table(events)}",
            f"local ERROR_CODES = {_list(ErrorCode)}",
        )
    )


def _table(entries: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"[{_text(k)}] = {_text(v)}" for k, v in entries.items()) + "}"


def _list(entries: Iterable[str]) -> str:
    return "{" + ", ".join(map(_text, entries)) + "}"


def _text(value: str) -> str:
    return '"' + value.replace("\\", r"\\").replace('"', r"\"") + '"'
