"""Operations of clients: submit, read, list, cancel, delete, counts."""

from acestep_ray.jobs.job import ErrorCode, Event, Status
from acestep_ray.jobs.store import messages
from acestep_ray.jobs.store.errors import AlreadyEnded, IdempotencyMismatch, JobExpired, QueueFull
from acestep_ray.jobs.store.operations import Backlog, Cancel, Delete, Get, ListJobs, Stats, Submit
from acestep_ray.jobs.store.records import (
    BacklogItem,
    ChangeKind,
    JobRecord,
    JobTiming,
    StoreStats,
    Submitted,
)
from acestep_ray.jobs.store.sqlite import delivery_rows
from acestep_ray.jobs.store.sqlite.row import JobRow
from acestep_ray.jobs.store.sqlite.table import JobTable

_RECENT = 50
_MAX_INTEGER = 2**63 - 1


def submit(table: JobTable, op: Submit, now: float) -> Submitted:
    """See operations.Submit. A key whose job was deleted or has expired is free again."""
    if job := table.find(op.job_id):
        return _submitted(table, job, created=True)
    if table.expired(op.job_id):
        raise JobExpired(messages.gone(op.job_id))
    if op.idempotency_key is not None:
        earlier = table.db.execute(
            "SELECT job_id, fingerprint FROM idempotency WHERE owner = ? AND key = ?",
            (op.owner, op.idempotency_key),
        ).fetchone()
        if earlier is not None:
            job_id, fingerprint = earlier
            if fingerprint != op.fingerprint:
                raise IdempotencyMismatch(messages.KEY_REUSED)
            return _submitted(table, table.require(job_id), created=False)
    queued = table.queue.counts[Status.QUEUED]
    if queued >= op.max_queued:
        raise QueueFull(messages.full(queued, op.max_queued))
    job = table.insert(op, now)
    if op.idempotency_key is not None:
        table.db.execute(
            "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)",
            (op.owner, op.idempotency_key, op.job_id, op.fingerprint, now),
        )
    return _submitted(table, job, created=True)


def _submitted(table: JobTable, job: JobRow, created: bool) -> Submitted:
    return Submitted(job.job_id, job.status, table.queue.position(job), created)


def get(table: JobTable, op: Get, now: float) -> JobRecord:
    """See operations.Get."""
    return table.record(table.require(op.job_id))


def list_jobs(table: JobTable, op: ListJobs, now: float) -> list[JobRecord]:
    """See operations.ListJobs."""
    limit = min(max(0, op.limit), _MAX_INTEGER)
    where: dict[str, object] = {}
    if op.owner is not None:
        where["owner = ?"] = op.owner
    if op.before is not None:
        where["place < ?"] = min(op.before, _MAX_INTEGER)
    if not op.error_codes:
        if op.status is not None:
            where["status = ?"] = op.status
        jobs = _newest(table, where, limit)
    elif op.status not in (None, Status.FAILED):
        jobs = []  # only failed jobs have an error
    else:
        # Each code separately, by the index; then the newest of all.
        index = "jobs_by_error" if op.owner is None else "jobs_by_owner_and_error"
        found = [
            job
            for code in op.error_codes
            for job in _newest(table, where | {"error_code = ?": code}, limit, index)
        ]
        jobs = sorted(found, key=lambda job: job.place, reverse=True)[:limit]
    return [table.record(job, brief=op.brief) for job in jobs]


def _newest(
    table: JobTable, where: dict[str, object], limit: int, index: str | None = None
) -> list[JobRow]:
    condition = " AND ".join(where) or "TRUE"
    return table.select(
        f"{condition} ORDER BY place DESC LIMIT ?", *where.values(), limit, index=index
    )


def cancel(table: JobTable, op: Cancel, now: float) -> JobRecord:
    """See operations.Cancel."""
    job = table.require(op.job_id)
    if not job.status.ended:
        job = _cancelled(table, job, now)
    elif job.error_code is not ErrorCode.CANCELLED:
        raise AlreadyEnded(messages.ended(op.job_id, job.status))
    return table.record(job)


def _cancelled(table: JobTable, job: JobRow, now: float) -> JobRow:
    return table.transition(
        job, Event.CANCEL, now, error=messages.CANCELLED, error_code=ErrorCode.CANCELLED
    )


def delete(table: JobTable, op: Delete, now: float) -> None:
    """See operations.Delete."""
    job = table.require(op.job_id)
    if not job.status.ended:
        job = _cancelled(table, job, now)
    table.publish(job, ChangeKind.DELETED, now)
    table.expire(job, now)


def stats(table: JobTable, op: Stats, now: float) -> StoreStats:
    """See operations.Stats."""
    recent = table.db.execute(
        "SELECT MAX(0.0, finished_at - started_at), work, device_seconds, plan_seconds, decoder"
        " FROM jobs INDEXED BY jobs_succeeded WHERE status = 'succeeded'"
        f" ORDER BY finished_at DESC LIMIT {_RECENT}"
    ).fetchall()
    counts = table.queue.counts
    first = table.select("place = ?", table.queue.places[0]) if table.queue.places else []
    return StoreStats(
        queued=counts[Status.QUEUED],
        running=counts[Status.RUNNING],
        succeeded=counts[Status.SUCCEEDED],
        failed=counts[Status.FAILED],
        queued_for_plan=table.queue.queued_for_plan.total(),
        recent_seconds=tuple(seconds for seconds, *_ in recent),
        recent_paces=tuple(
            JobTiming(work, device_seconds, plan_seconds, decoder)
            for _, work, device_seconds, plan_seconds, decoder in recent
            if device_seconds is not None
        ),
        oldest_queued_at=first[0].created_at if first else None,
        deliveries_pending=delivery_rows.pending(table.db),
    )


def backlog(table: JobTable, op: Backlog, now: float) -> list[BacklogItem]:
    """See operations.Backlog."""
    jobs = table.select("status IN ('queued', 'running') ORDER BY place")
    return [
        BacklogItem(
            job_id=job.job_id,
            place=job.place,
            status=job.status,
            planner=job.planner if job.plan_pending else None,
            work=job.work,
            leased=job.runner is not None,
            cluster=job.cluster,
            plans=job.plans,
            decoder=job.decoder,
        )
        for job in jobs
    ]
