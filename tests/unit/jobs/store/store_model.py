"""What is known about a store outside of it, and what must therefore be true for every job."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis.stateful import RuleBasedStateMachine, invariant

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.errors import JobExpired, StoreError
from acestep_ray.jobs.store.operations import (
    Delete,
    Get,
    IsOwner,
    ListDeliveries,
    ListGarbage,
    ListJobs,
    Op,
    Stats,
)
from acestep_ray.jobs.store.records import DeliveryRecord, DeliveryState, JobRecord, StoreStats
from acestep_ray.jobs.store.webhook_messages import EVENTS
from tests.unit.jobs.store.contract import StoreFactory

MAX_STARTS = 2


@dataclass(frozen=True)
class Attempt:
    """One lease of one job."""

    job_id: str
    number: int
    runner: str


class StoreModel(RuleBasedStateMachine):
    """A store, and everything that was sent to it. The rules are in test_property.py."""

    open_store: Callable[[Path], StoreFactory]

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.factory = type(self).open_store(Path(self.folder.name))
        self.store = self.factory()
        self.now = 1000.0
        self.names = 0
        self.runners = ["r0", "r1", "r2"]
        self.alive_until: dict[str, float] = {}
        self.cluster_of: dict[str, str] = {}
        self.submitted: list[str] = []
        self.gone: set[str] = set()
        self.attempts: list[Attempt] = []
        self.seen: dict[str, JobRecord] = {}  # when last read
        self.reported: dict[str, Status] = {}  # by the last change
        self.kinds: dict[str, tuple[str, ...]] = {}  # what each job's webhook asked for
        self.plans: dict[str, int] = {}  # plan slots that each job takes while it is planned
        self.messages: dict[str, DeliveryRecord] = {}  # as they must be, the oldest first
        self.history: list[tuple[Op, object]] = []

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    # How clients and runners call the store

    def name(self, kind: str) -> str:
        self.names += 1
        return f"{kind}{self.names}"

    def ask(self, op: Op) -> object:
        (answer,) = self.store.apply([op], self.now)
        return answer

    def totals(self) -> tuple[object, ...]:
        reads: list[Op] = [ListJobs(limit=1000), Stats(), ListGarbage(limit=1000)]
        reads += [ListDeliveries(job_id) for job_id in self.with_webhook()]
        return tuple(self.store.apply(reads, self.now))

    def with_webhook(self) -> list[str]:
        return [job_id for job_id in self.submitted if self.kinds[job_id]]

    def repeat(self, op: Op, times: str) -> object:
        """Apply a mutating operation, perhaps twice, with the effect and the result of one call."""
        if times == "twice in a batch":
            answer, again = self.store.apply([op, op], self.now)
        else:
            answer = again = self.ask(op)
            if times == "twice":
                before = self.totals()
                again = self.ask(op)
                assert self.totals() == before
        if isinstance(op, Delete) and times != "once" and answer is None:
            assert isinstance(again, JobExpired)
        elif isinstance(answer, StoreError):
            assert type(again) is type(answer)
        else:
            assert again == answer
        if not isinstance(answer, StoreError):
            self.history.append((op, answer))
        return answer

    def holds(self, attempt: Attempt) -> bool:
        record = self.seen.get(attempt.job_id)
        return record is not None and (record.attempt, record.runner) == (
            attempt.number,
            attempt.runner,
        )

    # What is always true

    def read_now(self) -> None:
        for change in self.store.take_changes():
            self.reported[change.job_id] = change.status
            event = EVENTS.get(change.kind)
            if event in self.kinds.get(change.job_id, ()):
                delivery_id = f"{change.job_id}-{event}-{change.attempt}"
                assert delivery_id not in self.messages
                self.messages[delivery_id] = DeliveryRecord(
                    delivery_id=delivery_id,
                    job_id=change.job_id,
                    kind=str(event),
                    change=change,
                    state=DeliveryState.PENDING,
                    created_at=self.now,
                    next_at=self.now,
                )

    def settled(self, message: DeliveryRecord) -> bool:
        return message.state is not DeliveryState.PENDING

    def check_messages(self) -> None:
        """Those of a job that is gone stay only until they are delivered or given up."""
        for delivery_id, message in list(self.messages.items()):
            if message.job_id in self.gone and self.settled(message):
                del self.messages[delivery_id]
        jobs = self.with_webhook()
        found = self.store.apply([ListDeliveries(job_id) for job_id in jobs], self.now)
        for job_id, listed in zip(jobs, found, strict=True):
            assert listed == [one for one in self.messages.values() if one.job_id == job_id]
        assert {one.job_id for one in self.messages.values()} <= set(jobs)

    @invariant()
    def all_is_well(self) -> None:
        self.read_now()
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
        self.check_messages()
        self.seen = now
        for attempt in self.attempts:
            assert self.ask(IsOwner(attempt.job_id, attempt.number)) is self.holds(attempt)

    def check_job(self, job: JobRecord, before: JobRecord | None) -> None:
        assert self.reported[job.job_id] is job.status
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
        if job.status is Status.QUEUED:
            assert job.started_at is None
        elif job.starts == before.starts:
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
        queued = [job for job in jobs if job.status is Status.QUEUED]
        first = min(queued, key=lambda job: job.place, default=None)
        assert stats.oldest_queued_at == (first.created_at if first else None)
