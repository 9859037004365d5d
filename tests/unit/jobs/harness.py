"""Coordinators for tests, and short forms of what their callers do."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.coordinator.job_events import Observer
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.answers import Answer, answered
from acestep_ray.jobs.store.operations import Get, KeepAlive, Lease, Operation, Start, Submit, Sweep
from acestep_ray.replicas.registry import Registration
from acestep_ray.settings import Jobs, Settings
from tests.unit.jobs.engines import DESCRIPTION
from tests.unit.jobs.gated_store import GatedStore
from tests.unit.jobs.local_client import LM

IN_TIME = 30.0  # seconds; the awaited events come much earlier


class CoordinatorHarness:
    """Opens coordinators on one database, with a clock that a test sets forward or lets run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ahead = 0.0
        self.started: float | None = None
        self.coordinators: list[JobCoordinator] = []

    def run_clock(self) -> None:
        self.started = time.monotonic()

    def now(self) -> float:
        running = 0.0 if self.started is None else time.monotonic() - self.started
        return 1000.0 + self.ahead + running

    async def open(self, observers: Sequence[Observer] = (), **jobs: float) -> JobCoordinator:
        settings = Settings(jobs=Jobs.model_validate({"lease_seconds": 60.0} | jobs))
        coordinator = JobCoordinator(self.open_store, settings, clock=self.now, observers=observers)
        await coordinator.open()
        self.coordinators.append(coordinator)
        return coordinator

    def open_store(self) -> GatedStore:
        self.store = GatedStore(self.path)
        return self.store


def deploy(coordinator: JobCoordinator, decoders: int = 1, planners: int = 0) -> None:
    """Register this many replicas, with one slot each."""
    for kind, count in (("Decoder", decoders), ("Planner", planners)):
        description = DESCRIPTION if kind == "Decoder" else LM
        for number in range(count):
            one = Registration(f"{kind} {number}", kind, description, slots=1)
            coordinator.registry.register(one, time.monotonic())


async def ask(coordinator: JobCoordinator, op: Operation[object, Answer]) -> Answer:
    (answer,) = await coordinator.apply([op])
    return answered(op, answer)


async def submit(coordinator: JobCoordinator, *job_ids: str) -> None:
    await coordinator.apply([Submit(job_id, "{}", needs_plan=False) for job_id in job_ids])


async def take(
    coordinator: JobCoordinator, job_id: str, runner: str = "r", ttl: float = 1e6
) -> int:
    """Lease a job, which must be the next, and start it."""
    await ask(coordinator, KeepAlive(runner, ttl))
    (record,) = await ask(coordinator, Lease(runner, f"for {job_id}", plan_slots=0, decode_slots=1))
    assert record.job_id == job_id
    assert await ask(coordinator, Start(job_id, record.attempt)) is True
    return record.attempt


async def until_job(
    coordinator: JobCoordinator, job_id: str, *, status: Status, code: ErrorCode | None = None
) -> None:
    """Follow a job as a client does, until it is as expected."""
    async with asyncio.timeout(IN_TIME):
        since: tuple[str, int] | None = None
        while True:
            changes = await coordinator.changes(since, IN_TIME)
            since = (changes.epoch, changes.version)
            record = (await ask(coordinator, Get(job_id))).record
            if (record.status, record.error_code) == (status, code):
                return


async def now_of(coordinator: JobCoordinator) -> tuple[str, int]:
    changes = await coordinator.changes(None, 0)
    return changes.epoch, changes.version


async def until_swept(harness: CoordinatorHarness) -> None:
    before = len(harness.store.batches)
    await until(lambda: any(Sweep(3, 3600.0) in batch for batch in harness.store.batches[before:]))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(IN_TIME):
        while not condition():
            await asyncio.sleep(0.005)
