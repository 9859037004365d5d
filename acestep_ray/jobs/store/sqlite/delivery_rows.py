"""The rows of webhook messages, which are written in the transaction of the change they report."""

import json
import sqlite3
from typing import Any

from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.store.records import DeliveryRecord, DeliveryState, JobChange
from acestep_ray.jobs.store.stored_change import read_change, stored_change
from acestep_ray.jobs.store.webhook_messages import delivery_id

_INSERT = """
INSERT INTO deliveries (delivery_id, job_id, kind, change, state, created_at, tries, next_at)
VALUES (?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT (delivery_id) DO NOTHING
"""

COLUMNS = ", ".join(DeliveryRecord.__dataclass_fields__)


def insert(db: sqlite3.Connection, change: JobChange, event: EventKind) -> None:
    """Add the message about a change, which is due at once. Does nothing if it exists."""
    row = (delivery_id(change, event), change.job_id, event, json.dumps(stored_change(change)))
    db.execute(_INSERT, (*row, DeliveryState.PENDING, change.at, change.at))


def select(db: sqlite3.Connection, where: str, *values: object) -> list[DeliveryRecord]:
    """Messages by an SQL condition (with ORDER BY and LIMIT as needed)."""
    rows = db.execute(f"SELECT {COLUMNS} FROM deliveries WHERE {where}", values).fetchall()
    return [_record(row) for row in rows]


def pending(db: sqlite3.Connection) -> int:
    """Number of messages that are not yet delivered or given up."""
    count = "SELECT COUNT(*) FROM deliveries INDEXED BY deliveries_due WHERE state = 'pending'"
    return int(db.execute(count).fetchone()[0])


def remove_settled(db: sqlite3.Connection, job_id: str) -> None:
    """Remove the messages of a job that are delivered or given up."""
    db.execute("DELETE FROM deliveries WHERE job_id = ? AND state <> 'pending'", (job_id,))


def _record(row: tuple[Any, ...]) -> DeliveryRecord:
    values = dict(zip(DeliveryRecord.__dataclass_fields__, row, strict=True))
    values["change"] = read_change(json.loads(values["change"]))
    values["state"] = DeliveryState(values["state"])
    return DeliveryRecord(**values)
