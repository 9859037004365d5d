"""A change as it is stored and sent to other stores: a mapping of JobChange's names.

A name without a value may be absent. Names are added, never changed or removed: several releases
may share a database.
"""

from collections.abc import Mapping
from typing import Any

from acestep_ray.jobs.job import Status, error_code_of
from acestep_ray.jobs.store.records import ChangeKind, JobChange

_KNOWN = frozenset(ChangeKind)
_KINDS = {
    Status.QUEUED: ChangeKind.SUBMITTED,
    Status.RUNNING: ChangeKind.STARTED,
    Status.SUCCEEDED: ChangeKind.ENDED,
    Status.FAILED: ChangeKind.ENDED,
}
"""The most frequent kind of change that leads to a status."""


def stored_change(change: JobChange) -> dict[str, Any]:
    """The mapping of a change."""
    return {name: value for name, value in vars(change).items() if value is not None}


def read_change(stored: Mapping[str, Any]) -> JobChange:
    """A change that any release has stored: only ``job_id`` and ``status`` are always present.

    A kind that is absent, or unknown because it is of a later release, follows from the status.
    """
    status = Status(stored["status"])
    kind = stored.get("kind")
    return JobChange(
        job_id=stored["job_id"],
        kind=ChangeKind(kind) if kind in _KNOWN else _KINDS[status],
        status=status,
        at=float(stored.get("at", 0.0)),
        owner=stored.get("owner", ""),
        task=stored.get("task", ""),
        webhook=stored.get("webhook", ""),
        attempt=int(stored.get("attempt", 0)),
        created_at=float(stored.get("created_at", 0.0)),
        started_at=_time(stored.get("started_at")),
        finished_at=_time(stored.get("finished_at")),
        error_code=error_code_of(stored.get("error_code")),
        lost=bool(stored.get("lost", False)),
    )


def _time(value: float | None) -> float | None:
    return None if value is None else float(value)
