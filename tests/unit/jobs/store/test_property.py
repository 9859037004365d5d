"""Random interleavings of clients and runners that die, return late, repeat calls and cancel.

What must always hold: a job ends once and its end never changes; an attempt number only grows and
at most one attempt has a job; jobs keep their order and positions run 1..n; no slot is used twice;
every call that is repeated, at once or much later, changes nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.errors import JobExpired, QueueFull
from acestep_ray.jobs.store.operations import (
    Cancel,
    Delete,
    Deregister,
    ExtendLeases,
    Finish,
    Get,
    KeepAlive,
    Lease,
    LeaseDeliveries,
    Op,
    Purge,
    Release,
    SaveDelivery,
    SavePlan,
    Start,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.records import DeliveryState, JobRecord, Submitted
from acestep_ray.jobs.webhook import WEBHOOK_KINDS
from tests.redis_server import empty_redis
from tests.unit.jobs.store.conftest import FACTORIES
from tests.unit.jobs.store.contract import StoreFactory
from tests.unit.jobs.store.multi_store import MultiStore
from tests.unit.jobs.store.store_model import MAX_STARTS, Attempt, StoreModel

TIMEOUT = 30.0
RUNNERS = st.integers(0, 2)
SLOTS = st.integers(0, 3)
PLANNERS = ("", "p", "q")
DECODERS = ("", "d", "e")
PICK = st.integers(0, 10**6)  # of all there are, modulo their number
STALE = st.sampled_from([False, False, False, True])  # whether any attempt, or one that has its job
TWICE = st.sampled_from(["once", "twice", "twice in a batch"])
ACTS: dict[str, Callable[[str, int], Start | SavePlan | Finish | Release]] = {
    "start": Start,
    "plan": lambda job_id, attempt: SavePlan(job_id, attempt, f"plan {attempt}"),
    "succeed": lambda job_id, attempt: Finish(job_id, attempt, result=f"result {attempt}"),
    "fail": lambda job_id, attempt: Finish(job_id, attempt, error=f"error {attempt}"),
    "lose": lambda job_id, attempt: Release(job_id, attempt, lost=True, max_starts=MAX_STARTS),
    "release": lambda job_id, attempt: Release(job_id, attempt, lost=False),
}


def plans(job: JobRecord) -> str | None:
    """The planner of the job; None if it needs no plan, or has one."""
    return job.planner if job.needs_plan and job.plan is None else None


class StoreMachine(StoreModel):
    """What happens to a store."""

    @initialize(plans=st.lists(st.booleans(), min_size=3, max_size=6))
    def begin(self, plans: list[bool]) -> None:
        """Some jobs wait and three runners live."""
        for needs_plan in plans:
            self.submit(needs_plan, "", None, False, WEBHOOK_KINDS, "once")
            self.all_is_well()
        for runner in range(3):
            self.keep_alive(runner, "once")

    @rule(
        needs_plan=st.booleans(),
        planner=st.sampled_from(PLANNERS),
        decoder=st.sampled_from(DECODERS),
        key=st.sampled_from([None, "k"]),
        full=st.booleans(),
        kinds=st.sampled_from([(), ("ended",), WEBHOOK_KINDS]),
        t=TWICE,
        count=st.sampled_from([1, 1, 1, 2, 4]),
    )
    def submit(
        self,
        needs_plan: bool,
        planner: str,
        key: str | None,
        full: bool,
        kinds: tuple[str, ...],
        t: str,
        count: int = 1,
        decoder: str = "",
    ) -> None:
        job_id = self.name("job")
        limit = 2 if full else 100
        queued = sum(record.status is Status.QUEUED for record in self.seen.values())
        op = Submit(
            job_id,
            f"spec {job_id}",
            needs_plan,
            idempotency_key=key,
            max_queued=limit,
            planner=planner,
            webhook_kinds=kinds,
            plans=count,
            decoder=decoder,
        )
        self.kinds[job_id] = kinds
        self.plans[job_id] = count
        answer = self.repeat(op, t)
        if isinstance(answer, Submitted) and answer.created:
            assert queued < limit
            assert (answer.job_id, answer.position) == (job_id, queued + 1)
            self.submitted.append(job_id)
        elif isinstance(answer, Submitted):
            assert key == "k"
            assert answer.job_id in self.seen
            self.history.pop()  # its key may be free again: then it means another job
        else:
            assert isinstance(answer, QueueFull)
            assert queued >= limit

    @rule(
        runner=RUNNERS,
        plan_slots=SLOTS,
        decode_slots=SLOTS,
        planner_slots=st.dictionaries(st.sampled_from(PLANNERS), SLOTS),
        decoder_slots=st.dictionaries(st.sampled_from(DECODERS), SLOTS),
        begin=st.booleans(),
        t=TWICE,
    )
    def lease(
        self,
        runner: int,
        plan_slots: int,
        decode_slots: int,
        planner_slots: dict[str, int],
        decoder_slots: dict[str, int],
        begin: bool,
        t: str,
    ) -> None:
        name = self.runners[runner]
        cluster = self.cluster_of[name] = f"cluster {runner % 2}"
        request = self.name("request")
        op = Lease(name, request, plan_slots, decode_slots, planner_slots, cluster, decoder_slots)
        expected = self.next_jobs(op)
        answer = self.repeat(op, t)
        assert isinstance(answer, list)
        if self.alive_until.get(name, 0) < self.now:
            assert answer == []
            return
        assert [job.job_id for job in answer] == expected
        assert [job.place for job in answer] == sorted(job.place for job in answer)
        for job in answer:
            before = self.seen[job.job_id]
            assert (before.status, before.runner) == (Status.QUEUED, None)
            assert (job.attempt, job.runner) == (before.attempt + 1, name)
            self.attempts.append(Attempt(job.job_id, job.attempt, name))
            if begin:
                assert self.repeat(Start(job.job_id, job.attempt), t) is True

    def next_jobs(self, op: Lease) -> list[str]:
        """What the request must lease: in order, no slot twice, and none is left over that has its
        slots."""
        jobs = self.seen.values()
        held = [job for job in jobs if job.runner and self.cluster_of[job.runner] == op.cluster]
        to_decode = {name: self.decode_slots(op, name) for name in DECODERS}
        free = {planner: self.slots(op, planner) for planner in PLANNERS}
        room = {name: op.plan_slots + slots for name, slots in to_decode.items()}
        gone = [name for name, slots in op.decoder_slots.items() if not slots]
        together = op.plan_slots
        for job in held:
            if (planner := plans(job)) is None:
                to_decode[job.decoder] -= 1
                room[job.decoder] -= 1
            else:
                free[planner] -= self.plans[job.job_id]
                room[job.decoder] -= self.plans[job.job_id]
                together -= self.plans[job.job_id]
        room |= dict.fromkeys(gone, 0)
        found = []
        reserved: set[str] = set()
        waiting = [j for j in jobs if j.status is Status.QUEUED and j.runner is None]
        waits = {
            name: sorted(j.place for j in waiting if plans(j) is None and j.decoder == name)[
                max(0, to_decode[name]) :
            ]
            if self.decode_slots(op, name)
            else []
            for name in DECODERS
        }
        for job in sorted(waiting, key=lambda job: job.place):
            planner, decoder = plans(job), job.decoder
            if planner is None:
                if to_decode[decoder] > 0:
                    to_decode[decoder] -= 1
                    found.append(job.job_id)
                continue
            count = max(1, min(self.plans[job.job_id], self.slots(op, planner)))
            if together <= 0 or (free[planner] <= 0 and planner in reserved):
                continue
            if count > room[decoder] or any(left < job.place for left in waits[decoder]):
                room[decoder] = 0
            elif free[planner] < count:
                free[planner] = 0
                room[decoder] -= count
                reserved.add(planner)
            elif count > together:
                together = 0
            else:
                free[planner] -= count
                room[decoder] -= count
                together -= count
                found.append(job.job_id)
        return found

    def slots(self, op: Lease, planner: str) -> int:
        return min(op.planner_slots.get(planner, op.plan_slots), op.plan_slots)

    def decode_slots(self, op: Lease, decoder: str) -> int:
        return min(op.decoder_slots.get(decoder, op.decode_slots), op.decode_slots)

    @precondition(lambda self: self.attempts)
    @rule(what=st.sampled_from(sorted(ACTS)), pick=PICK, stale=STALE, t=TWICE)
    def act(self, what: str, pick: int, stale: bool, t: str) -> None:
        """A runner sends an operation for a job that it has, or that it believes to have."""
        held = [attempt for attempt in self.attempts if self.holds(attempt)]
        among = self.attempts if stale or not held else held
        attempt = among[pick % len(among)]
        holds, before = self.holds(attempt), self.seen.get(attempt.job_id)
        op = ACTS[what](attempt.job_id, attempt.number)
        answer = self.repeat(op, t)
        now = self.ask(Get(attempt.job_id))
        if not holds:
            if answer is True:  # it ended or released the job before, and repeats that
                assert isinstance(op, Finish | Release)
                assert any(type(old) is type(op) for old, _ in self.operations_of(attempt)[:-1])
            return
        assert answer is True
        assert isinstance(now, JobRecord)
        assert before is not None
        running = before.status is Status.RUNNING
        match op:
            case Start():
                assert (now.status, now.starts) == (Status.RUNNING, before.starts + (not running))
            case SavePlan():
                assert (now.status, now.plan) == (before.status, op.plan)
            case Finish():
                assert (now.result, now.error) == (op.result, op.error)
            case Release():
                assert now.starts == before.starts - running + op.lost
                given_up = op.lost and now.starts >= MAX_STARTS
                assert now.status is (Status.FAILED if given_up else Status.QUEUED)
                assert now.error_code is (ErrorCode.WORKER_LOST if given_up else None)

    def operations_of(self, attempt: Attempt) -> list[tuple[Op, object]]:
        return [
            (op, answer)
            for op, answer in self.history
            if isinstance(op, Finish | Release)
            and answer is True
            and (op.job_id, op.attempt) == (attempt.job_id, attempt.number)
        ]

    @precondition(lambda self: self.submitted)
    @rule(op=st.sampled_from([Cancel, Cancel, Delete]), pick=PICK, t=TWICE)
    def end(self, op: type[Cancel] | type[Delete], pick: int, t: str) -> None:
        """A client cancels or deletes a job, living, ended or gone."""
        job_id = self.submitted[pick % len(self.submitted)]
        answer = self.repeat(op(job_id), t)
        assert isinstance(answer, JobExpired) is (job_id in self.gone)
        if isinstance(answer, JobRecord):
            assert answer.error_code is ErrorCode.CANCELLED
        if op is Delete:
            self.gone.add(job_id)

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, 4.0]), speaking=st.sets(RUNNERS), t=TWICE)
    def pass_time(self, seconds: float, speaking: set[int], t: str) -> None:
        """Time passes; some runners renew their leases, those of others may expire."""
        self.now += seconds
        for runner in speaking:
            self.keep_alive(runner, t)
        lapsed = {name for name, until in self.alive_until.items() if until < self.now}
        expected = {
            record.job_id
            for record in self.seen.values()
            if not record.status.ended
            and (
                record.runner in lapsed
                or (record.started_at is not None and record.started_at < self.now - TIMEOUT)
            )
        }
        changed = self.ask(Sweep(MAX_STARTS, TIMEOUT))
        assert isinstance(changed, list)
        assert len(changed) == len(set(changed))
        assert set(changed) == expected
        assert self.ask(Sweep(MAX_STARTS, TIMEOUT)) == []
        for name in lapsed:
            del self.alive_until[name]

    def keep_alive(self, runner: int, t: str) -> None:
        name = self.runners[runner]
        self.repeat(KeepAlive(name, 5), t)
        self.alive_until[name] = self.now + 5

    @rule(limit=st.integers(0, 4), seconds=st.sampled_from([1.0, 20.0]), t=TWICE)
    def lease_messages(self, limit: int, seconds: float, t: str) -> None:
        """The sender of webhook messages takes those that are due."""
        answer = self.repeat(LeaseDeliveries(limit, seconds, self.name("request")), t)
        due = [
            one
            for one in self.messages.values()
            if not self.settled(one) and one.next_at is not None and one.next_at <= self.now
        ]
        due.sort(key=lambda one: one.next_at or 0.0)  # the oldest first, if due at the same time
        taken = {one.delivery_id for one in due[:limit]}
        for delivery_id in taken:
            message = self.messages[delivery_id]
            self.messages[delivery_id] = replace(message, next_at=self.now + seconds)
        assert answer == [one for one in self.messages.values() if one.delivery_id in taken]

    @precondition(lambda self: self.messages)
    @rule(
        pick=PICK,
        state=st.sampled_from(DeliveryState),
        tries=st.sampled_from([1, 1, 0, -1]),
        wait=st.sampled_from([0.0, 3.0]),
        t=TWICE,
    )
    def save_message(
        self, pick: int, state: DeliveryState, tries: int, wait: float, t: str
    ) -> None:
        """A sender reports a try, perhaps one that another sender has made meanwhile."""
        message = list(self.messages.values())[pick % len(self.messages)]
        number = message.tries + tries
        op = SaveDelivery(message.delivery_id, state, number, self.now + wait, 500, "no")
        assert self.repeat(op, t) is None
        late = tries < 1 and state is not DeliveryState.DELIVERED
        if late or self.settled(message):
            return
        pending = state is DeliveryState.PENDING
        self.messages[message.delivery_id] = replace(
            message,
            state=state,
            tries=max(message.tries, number),
            next_at=self.now + wait if pending else None,
            last_try_at=self.now,
            http_status=500,
            error="no",
        )

    @rule(
        what=st.sampled_from(["deregister", "extend leases", "purge", "restart"]),
        runner=RUNNERS,
        t=TWICE,
    )
    def housekeep(self, what: str, runner: int, t: str) -> None:
        """A runner leaves, or the owner of the store does its maintenance."""
        match what:
            case "deregister":
                self.deregister(runner, t)
            case "extend leases":
                self.ask(ExtendLeases(3))
                for name, until in self.alive_until.items():
                    self.alive_until[name] = max(until, self.now + 3)
            case "purge":
                self.purge()
            case "restart":
                self.restart()

    def deregister(self, runner: int, t: str) -> None:
        name = self.runners[runner]
        before = dict(self.seen)
        assert self.repeat(Deregister(name), t) is None
        self.alive_until.pop(name, None)
        for record in before.values():
            if record.runner == name:  # queued again, its start not counted
                now = self.ask(Get(record.job_id))
                assert isinstance(now, JobRecord)
                assert (now.status, now.runner) == (Status.QUEUED, None)
                assert now.starts == record.starts - (record.status is Status.RUNNING)
        self.runners[runner] = self.name("r")

    def purge(self) -> None:
        old = {
            record.job_id
            for record in self.seen.values()
            if record.finished_at is not None and record.finished_at < self.now - 10
        }
        assert self.ask(Purge(10, 10**6, 10**6)) == len(old)
        assert self.ask(Purge(10, 10**6, 10**6)) == 0
        self.gone |= old

    def restart(self) -> None:
        before = self.totals()
        self.read_now()
        self.store.close()
        self.store = self.factory()
        assert self.totals() == before
        # Requests that found nothing are not on disk; a repeated one now gets the real result.
        self.history = [(op, answer) for op, answer in self.history if answer != []]

    @precondition(lambda self: self.history)
    @rule(pick=PICK)
    def repeat_much_later(self, pick: int) -> None:
        """A call that Ray sends again, long after its result was received."""
        op, _ = self.history[pick % len(self.history)]
        if isinstance(op, KeepAlive | Deregister | LeaseDeliveries):
            return  # their effect depends on when they are sent
        before = self.totals()
        self.ask(op)
        assert self.totals() == before


def _several(folder: Path) -> StoreFactory:
    url = empty_redis().url
    return lambda: MultiStore(url)


IMPLEMENTATIONS = FACTORIES | {"several on one redis": _several}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_random_interleavings(implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Waiting for the disk is not tested here, and would take most of the time.
    monkeypatch.setattr("acestep_ray.jobs.store.sqlite.store._SYNCHRONOUS", "OFF")
    machine = type(
        "Machine", (StoreMachine,), {"open_store": staticmethod(IMPLEMENTATIONS[implementation])}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=settings().max_examples * 3 // 2,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
