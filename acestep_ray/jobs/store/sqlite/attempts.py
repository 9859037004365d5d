"""Operations of an attempt, behind the fence: an attempt that lost its job changes nothing."""

from acestep_ray.jobs.job import ErrorCode, Event, Status
from acestep_ray.jobs.store import messages
from acestep_ray.jobs.store.operations import Finish, IsOwner, Release, SavePlan, Start
from acestep_ray.jobs.store.records import ChangeKind
from acestep_ray.jobs.store.sqlite.leases import give_back
from acestep_ray.jobs.store.sqlite.row import JobRow
from acestep_ray.jobs.store.sqlite.table import JobTable


def _held(table: JobTable, op: IsOwner | Start | SavePlan | Finish | Release) -> JobRow | None:
    """The job, if the attempt still has it."""
    job = table.find(op.job_id)
    return job if job is not None and job.belongs_to(op.attempt) else None


def is_owner(table: JobTable, op: IsOwner, now: float) -> bool:
    """See operations.IsOwner."""
    return _held(table, op) is not None


def start(table: JobTable, op: Start, now: float) -> bool:
    """See operations.Start."""
    job = _held(table, op)
    if job is None:
        return False
    if job.status is Status.QUEUED:
        table.transition(job, Event.START, now)
    return True


def save_plan(table: JobTable, op: SavePlan, now: float) -> bool:
    """See operations.SavePlan. From now on the job takes a decode slot."""
    job = _held(table, op)
    if job is None:
        return False
    table.db.execute("UPDATE texts SET plan = ? WHERE place = ?", (op.plan, job.place))
    if job.plan_pending:
        work = job.work if op.work is None else op.work
        job = table.change(job, plan_pending=False, plan_seconds=op.seconds, work=work)
        table.publish(job, ChangeKind.PLANNED, now)
    return True


def finish(table: JobTable, op: Finish, now: float) -> bool:
    """See operations.Finish. A job with a result was started, even if no Start was applied."""
    job = table.find(op.job_id)
    if job is None:
        return False
    if not job.belongs_to(op.attempt):
        return job.ended_by == op.attempt
    if op.result is None:
        table.transition(
            job,
            Event.FAIL,
            now,
            error=op.error or messages.FAILED,
            error_code=op.error_code or ErrorCode.INTERNAL,
            ended_by=op.attempt,
        )
        return True
    if job.status is Status.QUEUED:
        job = table.transition(job, Event.START, now)
    table.db.execute("UPDATE texts SET result = ? WHERE place = ?", (op.result, job.place))
    table.transition(job, Event.SUCCEED, now, ended_by=op.attempt, device_seconds=op.device_seconds)
    return True


def release(table: JobTable, op: Release, now: float) -> bool:
    """See operations.Release."""
    job = table.find(op.job_id)
    if job is None:
        return False
    if not job.belongs_to(op.attempt):
        return job.released == op.attempt
    give_back(table, job, now, lost=op.lost, max_starts=op.max_starts, released=op.attempt)
    return True
