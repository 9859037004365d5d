"""Operations of runners: liveness, leases, and how jobs return from runners that are gone."""

import heapq
import operator
from collections import Counter
from math import inf

from acestep_ray.jobs.job import ErrorCode, Event, Status
from acestep_ray.jobs.store import messages
from acestep_ray.jobs.store.operations import Deregister, ExtendLeases, KeepAlive, Lease, Sweep
from acestep_ray.jobs.store.records import JobRecord
from acestep_ray.jobs.store.sqlite.row import JobRow
from acestep_ray.jobs.store.sqlite.table import JobTable

_PLACE = operator.attrgetter("place")
_PLACE_TO_DECODE = (
    "SELECT place FROM jobs INDEXED BY jobs_to_decode WHERE decoder = ? AND status = 'queued'"
    " AND runner IS NULL AND plan_pending = 0 ORDER BY place LIMIT 1 OFFSET ?"
)
_WAITING = "status = 'queued' AND runner IS NULL AND plan_pending = {} ORDER BY place LIMIT ?"


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
    used = _Used(table, op.cluster)
    to_decode = [
        table.select(
            f"decoder = ? AND {_WAITING.format(0)}",
            decoder,
            max(0, _decoder_slots(op, decoder) - used.decoding[decoder]),
            index="jobs_to_decode",
        )
        for decoder in table.queue.queued_to_decode
    ]
    return list(heapq.merge(_next_to_plan(table, op, used), *to_decode, key=_PLACE))


def _next_to_plan(table: JobTable, op: Lease, used: "_Used") -> list[JobRow]:
    queues = table.queue.queued_for_plan
    plan_free = max(0, op.plan_slots - used.planning.total())
    free = {
        planner: max(0, _planner_slots(op, planner) - used.planning[planner])
        for planner, _ in queues
    }
    # A job that got its plan uses a decode slot, so more decode slots may be used than there are.
    # Then no new plan is begun: its job would only wait for a decode slot.
    room = {
        decoder: max(0, op.plan_slots + _decoder_slots(op, decoder) - used.by_decoder[decoder])
        if op.decoder_slots.get(decoder, 1)
        else 0
        for _, decoder in queues
    }
    ahead = {decoder: _left_waiting(table, op, decoder, used) for decoder in room}
    waiting = [
        table.select(
            f"planner = ? AND decoder = ? AND {_WAITING.format(1)}",
            planner,
            decoder,
            min(free[planner], room[decoder], plan_free) + 1,
            index="jobs_to_plan",
        )
        for planner, decoder in queues
    ]
    found: list[JobRow] = []
    reserved = set()  # planners of which the first job that waits for them has its decode slot
    for job in heapq.merge(*waiting, key=_PLACE):
        if not free[job.planner] and job.planner in reserved:
            continue
        plans = max(1, min(job.plans, _planner_slots(op, job.planner)))
        if plans > room[job.decoder] or ahead[job.decoder] < job.place:
            room[job.decoder] = 0  # each later job of this decoder waits, too
        elif free[job.planner] < plans:
            free[job.planner] = 0  # and each of this planner; others leave the first one its place
            room[job.decoder] -= plans
            reserved.add(job.planner)
        elif plans > plan_free:
            break
        else:
            free[job.planner] -= plans
            room[job.decoder] -= plans
            plan_free -= plans
            found.append(job)
    return found


def _left_waiting(table: JobTable, op: Lease, decoder: str, used: "_Used") -> float:
    """Place of the first job that will still wait for this decoder alone. No later plan is begun:
    jobs go on from their plan to the decoder, and that one would never get there."""
    slots = _decoder_slots(op, decoder)
    free = max(0, slots - used.decoding[decoder])
    found = table.db.execute(_PLACE_TO_DECODE, (decoder, free)).fetchone()
    return found[0] if found and slots else inf


def _planner_slots(op: Lease, planner: str) -> int:
    return min(op.planner_slots.get(planner, op.plan_slots), op.plan_slots)


def _decoder_slots(op: Lease, decoder: str) -> int:
    return min(op.decoder_slots.get(decoder, op.decode_slots), op.decode_slots)


class _Used:
    """The slots that leased jobs of a cluster use: for plans of each planner (``planning``), for
    decoding of each decoder (``decoding``), and of each decoder for both (``by_decoder``)."""

    def __init__(self, table: JobTable, cluster: str) -> None:
        self.planning: Counter[str] = Counter()
        self.decoding: Counter[str] = Counter()
        self.by_decoder: Counter[str] = Counter()
        for pending, planner, decoder, jobs, plans in table.db.execute(
            "SELECT plan_pending, planner, decoder, COUNT(*), SUM(plans)"
            " FROM jobs INDEXED BY jobs_leased WHERE runner IS NOT NULL AND cluster = ?"
            " GROUP BY plan_pending, planner, decoder",
            (cluster,),
        ):
            self.by_decoder[decoder] += plans if pending else jobs
            if pending:
                self.planning[planner] += plans
            else:
                self.decoding[decoder] += jobs


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
