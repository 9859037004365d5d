"""Desks for tests, and what their callers do, in a few words."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from acestep_ray.jobs.desk import JobDesk
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.protocol import (
    Get,
    KeepAlive,
    Lease,
    Op,
    Start,
    StoreError,
    Submit,
    Sweep,
)
from acestep_ray.settings import Jobs, Settings
from tests.unit.jobs.gated_store import GatedStore

IN_TIME = 30.0  # seconds; what is waited for comes long before


class Office:
    """Opens desks on one database, with a clock that a test sets forward, or lets run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ahead = 0.0
        self.started: float | None = None
        self.desks: list[JobDesk] = []

    def run_clock(self) -> None:
        self.started = time.monotonic()

    def now(self) -> float:
        running = 0.0 if self.started is None else time.monotonic() - self.started
        return 1000.0 + self.ahead + running

    async def open(self, **jobs: float) -> JobDesk:
        settings = Settings(jobs=Jobs.model_validate({"lease_seconds": 60.0} | jobs))
        desk = JobDesk(self.open_store, settings, clock=self.now)
        await desk.open()
        self.desks.append(desk)
        return desk

    def open_store(self) -> GatedStore:
        self.store = GatedStore(self.path)
        return self.store


async def ask(desk: JobDesk, op: Op) -> Any:
    (answer,) = await desk.apply([op])
    if isinstance(answer, StoreError):
        raise answer
    return answer


async def submit(desk: JobDesk, *job_ids: str) -> None:
    await desk.apply([Submit(job_id, "{}", needs_plan=False) for job_id in job_ids])


async def take(desk: JobDesk, job_id: str, runner: str = "r", ttl: float = 1e6) -> int:
    """Lease a job, which must be the next, and start it."""
    await ask(desk, KeepAlive(runner, ttl))
    (record,) = await ask(desk, Lease(runner, f"for {job_id}", plan_slots=0, decode_slots=1))
    assert record.job_id == job_id
    assert await ask(desk, Start(job_id, record.attempt)) is True
    return int(record.attempt)


async def until_job(
    desk: JobDesk, job_id: str, *, status: Status, code: ErrorCode | None = None
) -> None:
    """Follow a job as a client does, until it is as expected."""
    async with asyncio.timeout(IN_TIME):
        since: tuple[str, int] | None = None
        while True:
            changes = await desk.changes(since, IN_TIME)
            since = (changes.epoch, changes.version)
            record = (await ask(desk, Get(job_id))).record
            if (record.status, record.error_code) == (status, code):
                return


async def now_of(desk: JobDesk) -> tuple[str, int]:
    changes = await desk.changes(None, 0)
    return changes.epoch, changes.version


async def until_swept(office: Office) -> None:
    before = len(office.store.batches)
    await until(lambda: any(Sweep(3, 3600.0) in batch for batch in office.store.batches[before:]))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(IN_TIME):
        while not condition():
            await asyncio.sleep(0.005)
