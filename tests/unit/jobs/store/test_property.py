"""Random interleavings of clients and runners that die, return late, repeat themselves and cancel.

What must hold whatever happens: a job ends once and its end never changes; an attempt number only
grows and at most one attempt has a job; jobs keep their order and positions run 1..n; no slot is
given out twice; every call that is repeated, at once or much later, changes nothing.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.protocol import (
    Cancel,
    Delete,
    Finish,
    Garbage,
    Get,
    Goodbye,
    Grace,
    JobExpired,
    JobRecord,
    KeepAlive,
    Lease,
    ListJobs,
    Op,
    Owns,
    Purge,
    QueueFull,
    Release,
    SavePlan,
    Start,
    Stats,
    StoreError,
    StoreStats,
    Submit,
    Submitted,
    Sweep,
)
from tests.unit.jobs.store.conftest import FACTORIES
from tests.unit.jobs.store.contract import StoreFactory

MAX_STARTS = 2
TIMEOUT = 40.0
RUNNERS = st.integers(0, 2)
SLOTS = st.integers(0, 3)
PICK = st.integers(0, 10**6)  # of whatever there is, modulo its number
STALE = st.sampled_from([False, False, False, True])  # whether any attempt, or one that has its job
TWICE = st.sampled_from(["once", "twice", "twice in a batch"])


@dataclass(frozen=True)
class Attempt:
    """One lease of one job."""

    job_id: str
    number: int
    runner: str


class StoreMachine(RuleBasedStateMachine):
    """The store, and what the world outside knows of it."""

    open_store: Callable[[Path], StoreFactory]

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.factory = type(self).open_store(Path(self.folder.name))
        self.store = self.factory()
        self.now = 1000.0
        self.names = 0
        self.runners = ["r0", "r1", "r2"]
        self.alive_until: dict[str, float] = {}
        self.submitted: list[str] = []
        self.gone: set[str] = set()
        self.attempts: list[Attempt] = []
        self.seen: dict[str, JobRecord] = {}  # as of the last look
        self.told: dict[str, Status] = {}  # as the changes told it
        self.history: list[tuple[Op, object]] = []
        for runner in range(3):
            self.keep_alive(runner, 10.0, "once")

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    # How the world talks to the store

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}{self.names}"

    def ask(self, op: Op) -> object:
        (answer,) = self.store.apply([op], self.now)
        return answer

    def picture(self) -> tuple[object, ...]:
        return tuple(
            self.store.apply([ListJobs(limit=1000), Stats(), Garbage(limit=1000)], self.now)
        )

    def tell(self, op: Op, times: str) -> object:
        """Apply a mutating operation, perhaps twice: then with the effect and answer of once."""
        if times == "twice in a batch":
            answer, again = self.store.apply([op, op], self.now)
        else:
            answer = again = self.ask(op)
            if times == "twice":
                before = self.picture()
                again = self.ask(op)
                assert self.picture() == before
        if isinstance(op, Delete) and times != "once" and answer is None:
            assert isinstance(again, JobExpired)
        elif isinstance(answer, StoreError):
            assert type(again) is type(answer)
        else:
            assert again == answer
        if not isinstance(answer, StoreError):
            self.history.append((op, answer))
        return answer

    def an_attempt(self, pick: int, stale: bool) -> Attempt:
        held = [attempt for attempt in self.attempts if self.holds(attempt)]
        among = self.attempts if stale or not held else held
        return among[pick % len(among)]

    def holds(self, attempt: Attempt) -> bool:
        record = self.seen.get(attempt.job_id)
        return record is not None and (record.attempt, record.runner) == (
            attempt.number,
            attempt.runner,
        )

    # What happens

    @rule(needs_plan=st.booleans(), key=st.sampled_from([None, "k"]), full=st.booleans(), t=TWICE)
    def submit(self, needs_plan: bool, key: str | None, full: bool, t: str) -> None:
        job_id = self.name("job")
        limit = 2 if full else 100
        queued = sum(record.status is Status.QUEUED for record in self.seen.values())
        op = Submit(job_id, f"spec {job_id}", needs_plan, idempotency_key=key, max_queued=limit)
        answer = self.tell(op, t)
        if isinstance(answer, Submitted) and answer.created:
            assert queued < limit
            assert (answer.job_id, answer.position) == (job_id, queued + 1)
            self.submitted.append(job_id)
        elif isinstance(answer, Submitted):
            assert key == "k"
            assert answer.job_id in self.seen
            self.history.pop()  # its key may be freed: then it means another job
        else:
            assert isinstance(answer, QueueFull)
            assert queued >= limit

    @rule(runner=RUNNERS, plan_slots=SLOTS, decode_slots=SLOTS, begin=st.booleans(), t=TWICE)
    def lease(self, runner: int, plan_slots: int, decode_slots: int, begin: bool, t: str) -> None:
        name = self.runners[runner]
        answer = self.tell(Lease(name, self.name("request"), plan_slots, decode_slots), t)
        assert isinstance(answer, list)
        if self.alive_until.get(name, 0) < self.now:
            assert answer == []
            return
        jobs = self.ask(ListJobs(limit=1000))
        assert isinstance(jobs, list)
        held = [job for job in jobs if job.runner is not None]
        planning = sum(job.needs_plan and job.plan is None for job in held)
        decoding = len(held) - planning
        for kind in (True, False):
            new = [job for job in answer if (job.needs_plan and job.plan is None) is kind]
            waiting = [
                job.place
                for job in jobs
                if job.status is Status.QUEUED
                and job.runner is None
                and (job.needs_plan and job.plan is None) is kind
            ]
            if new:  # in order, and no slot twice
                assert max(job.place for job in new) < min(waiting, default=10**9)
                slots = (planning, plan_slots) if kind else (decoding, decode_slots)
                assert slots[0] <= slots[1]
                assert not kind or len(held) <= plan_slots + decode_slots
            if waiting:  # and none left over that had its slot
                full = len(held) >= plan_slots + decode_slots
                assert planning >= plan_slots or full if kind else decoding >= decode_slots
        assert [job.place for job in answer] == sorted(job.place for job in answer)
        for job in answer:
            before = self.seen[job.job_id]
            assert (before.status, before.runner) == (Status.QUEUED, None)
            assert (job.attempt, job.runner) == (before.attempt + 1, name)
            self.attempts.append(Attempt(job.job_id, job.attempt, name))
            if begin:
                assert self.tell(Start(job.job_id, job.attempt), t) is True

    @rule(runner=RUNNERS, ttl=st.sampled_from([3.0, 10.0]), t=TWICE)
    def keep_alive(self, runner: int, ttl: float, t: str) -> None:
        name = self.runners[runner]
        self.tell(KeepAlive(name, ttl), t)
        self.alive_until[name] = self.now + ttl

    @rule(runner=RUNNERS, t=TWICE)
    def goodbye(self, runner: int, t: str) -> None:
        name = self.runners[runner]
        before = dict(self.seen)
        assert self.tell(Goodbye(name), t) is None
        self.alive_until.pop(name, None)
        for record in before.values():
            if record.runner == name:  # queued again, its start uncounted
                now = self.ask(Get(record.job_id))
                assert isinstance(now, JobRecord)
                assert (now.status, now.runner) == (Status.QUEUED, None)
                assert now.starts == record.starts - (record.status is Status.RUNNING)
        self.runners[runner] = self.name("r")

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, stale=STALE, t=TWICE)
    def start(self, pick: int, stale: bool, t: str) -> None:
        attempt = self.an_attempt(pick, stale)
        assert self.tell(Start(attempt.job_id, attempt.number), t) is self.holds(attempt)

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, stale=STALE, t=TWICE)
    def save_plan(self, pick: int, stale: bool, t: str) -> None:
        attempt = self.an_attempt(pick, stale)
        plan = f"plan {attempt.number}"
        answer = self.tell(SavePlan(attempt.job_id, attempt.number, plan), t)
        assert answer is self.holds(attempt)

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, stale=STALE, well=st.booleans(), t=TWICE)
    def finish(self, pick: int, stale: bool, well: bool, t: str) -> None:
        attempt = self.an_attempt(pick, stale)
        before = self.seen.get(attempt.job_id)
        words = f"of attempt {attempt.number}"
        result, error = (words, None) if well else (None, words)
        answer = self.tell(Finish(attempt.job_id, attempt.number, result, error), t)
        now = self.ask(Get(attempt.job_id))
        if self.holds(attempt):
            assert answer is True
            assert isinstance(now, JobRecord)
            assert (now.result if well else now.error) == words
        elif answer is True:  # then it had ended the job before
            assert before is not None
            assert words in (before.result, before.error)

    @precondition(lambda self: self.attempts)
    @rule(pick=PICK, stale=STALE, lost=st.booleans(), t=TWICE)
    def release(self, pick: int, stale: bool, lost: bool, t: str) -> None:
        attempt = self.an_attempt(pick, stale)
        before = self.seen.get(attempt.job_id)
        op = Release(attempt.job_id, attempt.number, lost, MAX_STARTS)
        answer = self.tell(op, t)
        if self.holds(attempt):
            assert answer is True
            assert before is not None
            now = self.ask(Get(attempt.job_id))
            assert isinstance(now, JobRecord)
            uncounted = not lost and before.status is Status.RUNNING
            assert now.starts == before.starts - uncounted
            given_up = lost and before.status is Status.RUNNING and before.starts >= MAX_STARTS
            assert now.status is (Status.FAILED if given_up else Status.QUEUED)
            assert now.error_code is (ErrorCode.WORKER_LOST if given_up else None)

    @precondition(lambda self: self.submitted)
    @rule(pick=PICK, t=TWICE)
    def cancel(self, pick: int, t: str) -> None:
        job_id = self.submitted[pick % len(self.submitted)]
        answer = self.tell(Cancel(job_id), t)
        assert isinstance(answer, JobExpired) is (job_id in self.gone)
        if isinstance(answer, JobRecord):
            assert answer.error_code is ErrorCode.CANCELLED

    @precondition(lambda self: self.submitted)
    @rule(pick=PICK, t=TWICE)
    def delete(self, pick: int, t: str) -> None:
        job_id = self.submitted[pick % len(self.submitted)]
        answer = self.tell(Delete(job_id), t)
        assert isinstance(answer, JobExpired) is (job_id in self.gone)
        self.gone.add(job_id)

    @rule(seconds=st.sampled_from([0.5, 2.0, 4.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
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

    @rule()
    def grace(self) -> None:
        self.ask(Grace(3))
        self.alive_until = {
            name: max(until, self.now + 3) for name, until in self.alive_until.items()
        }

    @rule()
    def purge(self) -> None:
        old = {
            record.job_id
            for record in self.seen.values()
            if record.finished_at is not None and record.finished_at < self.now - 10
        }
        assert self.ask(Purge(10, 10**6, 10**6)) == len(old)
        assert self.ask(Purge(10, 10**6, 10**6)) == 0
        self.gone |= old

    @rule()
    def restart(self) -> None:
        before = self.picture()
        self.told_now()
        self.store.close()
        self.store = self.factory()
        assert self.picture() == before
        # Requests that found nothing are not on disk; whoever repeats one now hears the answer.
        self.history = [(op, answer) for op, answer in self.history if answer != []]

    @precondition(lambda self: self.history)
    @rule(pick=PICK)
    def repeat_much_later(self, pick: int) -> None:
        """A call that Ray sends again, long after its answer was heard."""
        op, _ = self.history[pick % len(self.history)]
        if isinstance(op, KeepAlive | Goodbye):
            return  # of a runner: these mean what they say when they say it
        before = self.picture()
        self.ask(op)
        assert self.picture() == before

    # What always holds

    def told_now(self) -> None:
        self.told.update(self.store.take_changes())

    @invariant()
    def all_is_well(self) -> None:
        if not hasattr(self, "store"):
            return
        self.told_now()
        jobs = self.ask(ListJobs(limit=1000))
        assert isinstance(jobs, list)
        now = {job.job_id: job for job in jobs}
        assert now.keys() == set(self.submitted) - self.gone
        assert list(now) == [job_id for job_id in reversed(self.submitted) if job_id in now]
        for job_id, job in now.items():
            self.check_job(job, self.seen.get(job_id))
        for job_id in self.gone:
            assert isinstance(self.ask(Get(job_id)), JobExpired)
        queued: list[JobRecord] = [job for job in reversed(jobs) if job.status is Status.QUEUED]
        assert [job.position for job in queued] == list(range(1, len(queued) + 1))
        self.check_stats(jobs)
        self.seen = now
        for attempt in self.attempts:
            assert self.ask(Owns(attempt.job_id, attempt.number)) is self.holds(attempt)

    def check_job(self, job: JobRecord, before: JobRecord | None) -> None:
        assert self.told[job.job_id] is job.status
        assert job.starts <= min(job.attempt, MAX_STARTS)
        assert (job.finished_at is not None) is job.status.ended
        if job.status is Status.RUNNING:
            assert job.runner is not None
            assert job.starts >= 1
        if job.status is not Status.QUEUED:
            assert job.position == 0
        if job.runner is not None:
            assert not job.status.ended
            assert job.runner in self.alive_until
        if before is None:
            return
        assert job.place == before.place
        assert job.attempt >= before.attempt
        assert before.started_at in (None, job.started_at)
        assert job.plan is not None or before.plan is None
        if before.status.ended:
            assert job == before

    def check_stats(self, jobs: list[JobRecord]) -> None:
        stats = self.ask(Stats())
        assert isinstance(stats, StoreStats)
        for status in Status:
            expected = sum(job.status is status for job in jobs)
            assert getattr(stats, status.value) == expected
        assert stats.queued_for_plan == sum(
            job.status is Status.QUEUED and job.needs_plan and job.plan is None for job in jobs
        )


@pytest.mark.parametrize("implementation", FACTORIES)
def test_random_interleavings(implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Waiting for the disk is not what is tested here, and would be most of the time.
    monkeypatch.setattr("acestep_ray.jobs.store.sqlite.store._SYNCHRONOUS", "OFF")
    machine = type(
        "Machine", (StoreMachine,), {"open_store": staticmethod(FACTORIES[implementation])}
    )
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=250,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
