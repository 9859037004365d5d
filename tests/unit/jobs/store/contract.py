"""What every store's tests need: a store with a clock that the test sets, in short forms."""

from collections.abc import Callable, Iterable

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.answers import Stored, stored
from acestep_ray.jobs.store.operations import (
    Finish,
    Get,
    KeepAlive,
    Lease,
    ListJobs,
    Op,
    Operation,
    Start,
    Submit,
)
from acestep_ray.jobs.store.protocol import JobStore
from acestep_ray.jobs.store.records import ChangeKind, JobChange, JobRecord

StoreFactory = Callable[[], JobStore]
"""Opens the same store each time; it is closed before it is opened again."""


def in_short(changes: Iterable[JobChange]) -> list[tuple[str, ChangeKind, Status]]:
    """What most tests need of changes."""
    return [(one.job_id, one.kind, one.status) for one in changes]


def ask(store: JobStore, op: Operation[Stored, object], now: float) -> Stored:
    """The result of one operation; raises its error."""
    (answer,) = store.apply([op], now)
    return stored(op, answer)


class StoreHarness:
    """A store, the time, and the runner ``r``, which lives for ever unless a test changes that."""

    def __init__(self, factory: StoreFactory) -> None:
        self._factory = factory
        self.store = factory()
        self.now = 1000.0
        self._requests = 0
        self.do(KeepAlive("r", ttl=1e6))

    def reopen(self) -> None:
        """What happens when the owner restarts."""
        self.store.close()
        self.store = self._factory()

    def batch(self, *ops: Op) -> list[object]:
        """The results of one batch, including errors."""
        return self.store.apply(ops, self.now)

    def do(self, op: Operation[Stored, object]) -> Stored:
        """The result of one operation; raises its error."""
        return ask(self.store, op, self.now)

    def submit(self, *job_ids: str, needs_plan: bool = False, plans: int = 1) -> None:
        """Queue jobs; ``plans``: how many each needs."""
        for job_id in job_ids:
            spec = f"spec of {job_id}"
            self.do(Submit(job_id, spec=spec, needs_plan=needs_plan, plans=plans))

    def lease(
        self, runner: str = "r", plan_slots: int = 0, decode_slots: int = 1
    ) -> list[JobRecord]:
        """What a runner gets with a new request."""
        self._requests += 1
        return self.do(Lease(runner, f"request {self._requests}", plan_slots, decode_slots))

    def take(self, job_id: str, runner: str = "r") -> int:
        """Lease a job, which must be the next, and start it. Its attempt."""
        held = sum(record.runner is not None for record in self.do(ListJobs(limit=1000)))
        (record,) = self.lease(runner, decode_slots=held + 1)
        assert record.job_id == job_id
        assert self.do(Start(job_id, record.attempt)) is True
        return record.attempt

    def succeed(self, job_id: str, seconds: float = 1.0) -> None:
        """Submit a job and finish it."""
        self.submit(job_id)
        attempt = self.take(job_id)
        self.now += seconds
        assert self.do(Finish(job_id, attempt, result=f"result of {job_id}")) is True

    def changes(self) -> list[tuple[str, ChangeKind, Status]]:
        """What happened since the last call."""
        return in_short(self.store.take_changes())

    def get(self, job_id: str) -> JobRecord:
        """The record of a job."""
        return self.do(Get(job_id))

    def statuses(self) -> dict[str, Status]:
        """Of all jobs, newest first."""
        return {record.job_id: record.status for record in self.do(ListJobs(limit=1000))}

    def positions(self) -> dict[str, int]:
        """Of the queued jobs, oldest first."""
        queued = self.do(ListJobs(status=Status.QUEUED, limit=1000))
        return {record.job_id: record.position for record in reversed(queued)}
