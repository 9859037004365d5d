"""How jobs expire, and which of their artifacts must still be deleted."""

from acestep_ray.jobs.store.operations import AckGarbage, ListGarbage, Purge
from acestep_ray.jobs.store.sqlite.table import JobTable

_KEEP_REQUESTS = 3600.0
"""Seconds that a lease request is kept; no runner repeats one later."""


def purge(table: JobTable, op: Purge, now: float) -> int:
    """See operations.Purge. An id stays garbage until its artifacts are deleted. With an id, the
    messages that were never delivered are forgotten."""
    old = table.select(
        "finished_at < ? ORDER BY finished_at LIMIT ?", now - op.keep, max(0, op.limit)
    )
    for job in old:
        table.expire(job, now)
    for statement, keep in (
        (
            "DELETE FROM deliveries WHERE job_id IN"
            " (SELECT job_id FROM tombstones WHERE expired_at < ?)",
            op.keep_expired,
        ),
        ("DELETE FROM tombstones WHERE expired_at < ?", op.keep_expired),
        ("DELETE FROM idempotency WHERE created_at < ?", op.keep_idempotency),
        ("DELETE FROM leases WHERE leased_at < ?", _KEEP_REQUESTS),
    ):
        table.db.execute(statement, (now - keep,))
    return len(old)


def list_garbage(table: JobTable, op: ListGarbage, now: float) -> list[str]:
    """See operations.ListGarbage. Oldest first."""
    found = table.db.execute(
        "SELECT job_id FROM garbage ORDER BY number LIMIT ?", (max(0, op.limit),)
    )
    return [job_id for (job_id,) in found]


def ack_garbage(table: JobTable, op: AckGarbage, now: float) -> None:
    """See operations.AckGarbage."""
    table.db.executemany(
        "DELETE FROM garbage WHERE job_id = ?", [(job_id,) for job_id in op.job_ids]
    )
