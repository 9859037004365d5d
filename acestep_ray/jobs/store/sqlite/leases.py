"""Operations of runners: liveness, leases, and how jobs return from runners that are gone."""

import heapq
import operator

from acestep_ray.jobs.job import ErrorCode, Event, Status
from acestep_ray.jobs.store import messages
from acestep_ray.jobs.store.operations import Deregister, ExtendLeases, KeepAlive, Lease, Sweep
from acestep_ray.jobs.store.records import JobRecord
from acestep_ray.jobs.store.sqlite.row import JobRow
from acestep_ray.jobs.store.sqlite.table import JobTable

_PLACE = operator.attrgetter("place")


def keep_alive(table: JobTable, op: KeepAlive, now: float) -> None:
    """See operations.KeepAlive."""
    table.db.execute("REPLACE INTO runners VALUES (?, ?)", (op.runner, now + op.ttl))


def extend_leases(table: JobTable, op: ExtendLeases, now: float) -> None:
    """See operations.ExtendLeases."""
    table.db.execute("UPDATE runners SET alive_until = MAX(alive_until, ?)", (now + op.ttl,))


def lease(table: JobTable, op: Lease, now: float) -> list[JobRecord]:
    """See operations.Lease. A repeated request returns the jobs that it still has, and leases no
    others."""
    request = (op.runner, op.request_id)
    if _answered(table, request):
        held = table.select("runner = ? AND lease_request = ? ORDER BY place", *request)
        return [table.record(job) for job in held]
    alive = table.db.execute(
        "SELECT 1 FROM runners WHERE runner = ? AND alive_until >= ?", (op.runner, now)
    ).fetchone()
    jobs = _next(table, op) if alive else []
    if jobs:
        table.db.execute("INSERT INTO leases VALUES (?, ?, ?)", (*request, now))
    else:
        table.queue.empty_requests.append(request)
    leased = [
        table.change(
            job,
            attempt=job.attempt + 1,
            runner=op.runner,
            lease_request=op.request_id,
            cluster=op.cluster,
        )
        for job in jobs
    ]
    return [table.record(job) for job in leased]


def _answered(table: JobTable, request: tuple[str, str]) -> bool:
    if request in table.queue.empty_requests:
        return True
    found = table.db.execute("SELECT 1 FROM leases WHERE runner = ? AND request_id = ?", request)
    return found.fetchone() is not None


def _next(table: JobTable, op: Lease) -> list[JobRow]:
    """The waiting jobs for which slots are free, in the order of their places."""
    held = table.db.execute(
        "SELECT plan_pending, planner, COUNT(*), SUM(plans) FROM jobs INDEXED BY jobs_leased"
        " WHERE runner IS NOT NULL AND cluster = ? GROUP BY plan_pending, planner",
        (op.cluster,),
    ).fetchall()
    decoding: int = sum(jobs for pending, _, jobs, _ in held if not pending)
    planning: dict[str, int] = {planner: plans for pending, planner, _, plans in held if pending}
    planned = sum(planning.values())
    # A job that got its plan uses a decode slot, so more decode slots may be used than there are.
    # Then no new plan is begun: its job would only wait for a decode slot.
    both = op.plan_slots + op.decode_slots
    plan_free = max(0, min(op.plan_slots - planned, both - planned - decoding))
    decode_free = max(0, op.decode_slots - decoding)

    def slots(planner: str) -> int:
        return min(op.planner_slots.get(planner, op.plan_slots), op.plan_slots)

    waiting = "status = 'queued' AND runner IS NULL AND plan_pending = {} ORDER BY place LIMIT ?"
    free = {
        planner: max(0, slots(planner) - planning.get(planner, 0))
        for planner in table.queue.queued_for_plan
    }
    by_planner = [
        table.select(
            f"planner = ? AND {waiting.format(1)}",
            planner,
            min(left, plan_free),
            index="jobs_to_plan",
        )
        for planner, left in free.items()
    ]
    unplanned = []
    for job in heapq.merge(*by_planner, key=_PLACE):
        plans = max(1, min(job.plans, slots(job.planner)))
        if plans > free[job.planner]:
            free[job.planner] = 0  # no later job of this planner may be leased before it
        elif plans > plan_free:
            break
        else:
            free[job.planner] -= plans
            plan_free -= plans
            unplanned.append(job)
    others = table.select(waiting.format(0), decode_free, index="jobs_waiting")
    return list(heapq.merge(unplanned, others, key=_PLACE))


def deregister(table: JobTable, op: Deregister, now: float) -> None:
    """See operations.Deregister."""
    for job in table.select("runner = ?", op.runner):
        give_back(table, job, now)
    table.db.execute("DELETE FROM runners WHERE runner = ?", (op.runner,))


def sweep(table: JobTable, op: Sweep, now: float) -> list[str]:
    """See operations.Sweep. A job that had not begun cannot have killed its runner, but a running
    job may have killed it."""
    lapsed = table.select(
        "runner IS NOT NULL AND runner NOT IN (SELECT runner FROM runners WHERE alive_until >= ?)",
        now,
    )
    for job in lapsed:
        give_back(table, job, now, lost=job.status is Status.RUNNING, max_starts=op.max_starts)
    overdue = table.select(
        "started_at IS NOT NULL AND finished_at IS NULL AND started_at < ?", now - op.timeout
    )
    for job in overdue:
        table.transition(
            job,
            Event.TIME_OUT,
            now,
            error=messages.overdue(op.timeout),
            error_code=ErrorCode.TIMEOUT,
        )
    table.db.execute("DELETE FROM runners WHERE alive_until < ?", (now,))
    return [job.job_id for job in (*lapsed, *overdue)]


def give_back(
    table: JobTable,
    job: JobRow,
    now: float,
    *,
    lost: bool = False,
    max_starts: int = 0,
    released: int | None = None,
) -> None:
    """Take a leased job from its runner, back to its place.

    Not ``lost``: its start is no longer counted. ``lost``: its start stays counted, and if it had
    not begun, the lost worker counts as a start; after ``max_starts`` starts the job fails.
    """
    begun = job.status is Status.RUNNING
    starts = job.starts - begun + lost
    released = job.released if released is None else released
    if lost and starts >= max_starts:
        table.transition(
            job,
            Event.GIVE_UP,
            now,
            error=messages.given_up(starts, begun),
            error_code=ErrorCode.WORKER_LOST,
            starts=starts,
            released=released,
            lost=True,
        )
    else:
        table.transition(job, Event.LOSE, now, starts=starts, released=released, lost=lost)
