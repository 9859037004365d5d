"""How jobs are forgotten, and what they leave to be removed."""

from acestep_ray.jobs.store.protocol import Collected, Garbage, Purge
from acestep_ray.jobs.store.sqlite.table import JobTable

_KEEP_REQUESTS = 3600.0
"""Seconds a lease request is remembered; nobody repeats one later."""


def purge(table: JobTable, op: Purge, now: float) -> int:
    """See protocol.Purge. A forgotten id stays garbage until its artifacts are gone."""
    old = table.select(
        "finished_at < ? ORDER BY finished_at LIMIT ?", now - op.keep, max(0, op.limit)
    )
    for job in old:
        table.expire(job, now)
    for statement, keep in (
        ("DELETE FROM tombstones WHERE expired_at < ?", op.keep_expired),
        ("DELETE FROM idempotency WHERE created_at < ?", op.keep_idempotency),
        ("DELETE FROM leases WHERE leased_at < ?", _KEEP_REQUESTS),
    ):
        table.db.execute(statement, (now - keep,))
    return len(old)


def garbage(table: JobTable, op: Garbage, now: float) -> list[str]:
    """See protocol.Garbage. Oldest first."""
    found = table.db.execute(
        "SELECT job_id FROM garbage ORDER BY number LIMIT ?", (max(0, op.limit),)
    )
    return [job_id for (job_id,) in found]


def collected(table: JobTable, op: Collected, now: float) -> None:
    """See protocol.Collected."""
    table.db.executemany(
        "DELETE FROM garbage WHERE job_id = ?", [(job_id,) for job_id in op.job_ids]
    )
