"""The Lua script that applies a batch: its files put together, with what Python knows better."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import msgpack
from redis.exceptions import NoScriptError

from acestep_ray.jobs.job import TRANSITIONS, ErrorCode
from acestep_ray.jobs.store import sentences
from acestep_ray.jobs.store.protocol import SchemaTooNew
from acestep_ray.jobs.store.redis.connection import Connection

PREFIX = "{acestep}:"
"""Of every key. The braces keep all of them on one node of a Redis Cluster."""

SCHEMA_VERSION = 1
"""Raise it when releases of either side would misread the other's keys; a column more is no cause.
"""

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
)
"""Columns of a job that a JobRecord shows as they are."""

COLUMNS = (
    *RECORD,
    "owner",
    "plan_pending",
    "lease_request",
    "released",
    "ended_by",
    "cluster",
    "plan_seconds",
    "device_seconds",
    "idempotency",
)
"""All columns of a job. They mean what the SQLite schema says of them; ``idempotency`` is the field
of the job's key in the hash of keys."""

KEEP_CHANGES = 10_000
"""Batches with changes that the stream keeps, about."""

_PARTS = ("jobs", "clients", "leases", "attempts", "retention", "restore", "apply")


@dataclass(frozen=True)
class Script:
    """A Lua script and the digest that Redis finds it by."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


def script(flags: str) -> Script:
    """The script with Redis's own ``flags``: with ``no-writes`` it may run on a full database, with
    ``allow-oom`` it may even write there, with none it is refused there before it does anything."""
    folder = files("acestep_ray.jobs.store.redis") / "lua"
    parts = [(folder / f"{part}.lua").read_text() for part in _PARTS]
    return Script("\n".join([f"#!lua flags={flags}", _prelude(), *parts]))


def evaluate(connection: Connection, script: Script, store: str, data: bytes) -> Any:
    """What the script answers to a batch (see wire) of the store with that name."""
    call = ("EVALSHA", script.sha, 1, PREFIX, store, data)
    try:
        reply = connection.execute(*call)
    except NoScriptError:  # a Redis that has restarted
        connection.execute("SCRIPT LOAD", script.text)
        reply = connection.execute(*call)
    return msgpack.unpackb(reply)


def refuse_newer(name: str, version: int) -> None:
    """Raise SchemaTooNew where a database is not for this release."""
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"{name} has schema version {version}, but this release knows versions up to"
            f" {SCHEMA_VERSION}; run the release that wrote it, or a later one."
        )


def _prelude() -> str:
    transitions = {f"{status} {event}": to for (status, event), to in TRANSITIONS.items()}
    words = {
        "cancelled": sentences.CANCELLED,
        "failed": sentences.FAILED,
        "given_up": sentences.GIVEN_UP,
        "given_up_unbegun": sentences.GIVEN_UP_UNBEGUN,
        "overdue": sentences.OVERDUE,
    }
    return "\n".join(
        (
            f"local VERSION = '{SCHEMA_VERSION}'",
            f"local KEEP_CHANGES = {KEEP_CHANGES}",
            f"local TRANSITIONS = {_table(transitions)}",
            f"local SENTENCES = {_table(words)}",
            f"local RECORD = {_list(RECORD)}",
            f"local COLUMNS = {_list(COLUMNS)}",
            f"local ERROR_CODES = {_list(ErrorCode)}",
        )
    )


def _table(entries: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"[{_text(k)}] = {_text(v)}" for k, v in entries.items()) + "}"


def _list(entries: Iterable[str]) -> str:
    return "{" + ", ".join(map(_text, entries)) + "}"


def _text(value: str) -> str:
    return '"' + value.replace("\\", r"\\").replace('"', r"\"") + '"'
