"""The coordinator requeues lost jobs and purges ended ones, and nothing stops it."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.errors import JobExpired, StoreUnavailable
from acestep_ray.jobs.store.operations import (
    Cancel,
    Finish,
    Get,
    IsOwner,
    KeepAlive,
    ListGarbage,
    Op,
    Purge,
    Submit,
    Sweep,
)
from tests.unit.jobs.harness import (
    CoordinatorHarness,
    ask,
    submit,
    take,
    until,
    until_job,
    until_swept,
)


async def test_a_silent_runner_loses_its_jobs(harness: CoordinatorHarness) -> None:
    harness.run_clock()
    coordinator = await harness.open(lease_seconds=0.1)
    await submit(coordinator, "a")
    attempt = await take(coordinator, "a", ttl=60)
    harness.ahead += 61
    await until_job(coordinator, "a", status=Status.QUEUED)
    assert await ask(coordinator, Finish("a", attempt, result="late")) is False


async def test_settings_reach_the_sweep(harness: CoordinatorHarness) -> None:
    harness.run_clock()
    coordinator = await harness.open(lease_seconds=0.1, timeout=100.0, max_starts=1)
    await submit(coordinator, "a", "b")
    attempt = await take(coordinator, "a")
    harness.ahead += 101
    await until_job(coordinator, "a", status=Status.FAILED, code=ErrorCode.TIMEOUT)
    assert await ask(coordinator, IsOwner("a", attempt)) is False
    await take(coordinator, "b", runner="s", ttl=60)
    harness.ahead += 61
    await until_job(coordinator, "b", status=Status.FAILED, code=ErrorCode.WORKER_LOST)


async def test_runners_get_time_to_speak_up_after_a_restart(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await submit(coordinator, "a")
    attempt = await take(coordinator, "a", ttl=10)
    await coordinator.close()
    harness.ahead = 1000
    coordinator = await harness.open(lease_seconds=0.1)
    await until_swept(harness)
    assert await ask(coordinator, IsOwner("a", attempt)) is True
    harness.run_clock()
    await until_job(coordinator, "a", status=Status.QUEUED)


async def test_a_dead_runner_lapses_though_every_sweep_is_late(harness: CoordinatorHarness) -> None:
    """As on a machine that is always overloaded."""
    harness.run_clock()
    coordinator = await harness.open(lease_seconds=0.1)
    await submit(coordinator, "a")
    await take(coordinator, "a", ttl=0.1)

    def slow(batch: Sequence[Op]) -> None:
        if any(isinstance(op, Sweep) for op in batch):
            time.sleep(0.06)  # with the pause before it, more than two thirds of a lease

    harness.store.fault = slow
    await until_job(coordinator, "a", status=Status.QUEUED)


async def test_ended_jobs_are_purged(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open(lease_seconds=0.05, keep=100.0, purge_every=0.01)
    await submit(coordinator, "a", "b")
    await ask(coordinator, Cancel("a"))
    harness.ahead = 101
    purge = Purge(100.0, 30 * 86400.0, 86400.0)
    seen = len(harness.store.batches)
    await until(lambda: harness.store.batches[seen:].count([purge]) > 1)
    with pytest.raises(JobExpired):
        await ask(coordinator, Get("a"))
    assert await ask(coordinator, ListGarbage()) == ["a"]
    assert (await ask(coordinator, Get("b"))).record.status is Status.QUEUED


async def test_a_purge_goes_on_while_there_is_more(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open(lease_seconds=0.05, keep=100.0, purge_every=1e6)
    harness.store.gate.clear()  # before the first purge
    jobs = [Submit(f"{n}", "{}", False, max_queued=2000) for n in range(1100)]
    call = asyncio.create_task(coordinator.apply([*jobs, *(Cancel(job.job_id) for job in jobs)]))
    await asyncio.sleep(0)
    harness.store.gate.set()
    await call
    harness.ahead = 101
    coordinator._maintenance._purge_at = 0
    await until(lambda: coordinator._maintenance._purge_at > 0)
    assert (await coordinator.stats()).store.failed == 0


async def test_no_runner_lapses_because_the_store_was_away(
    harness: CoordinatorHarness, caplog: pytest.LogCaptureFixture
) -> None:
    coordinator = await harness.open(lease_seconds=0.1)
    await submit(coordinator, "a")
    attempt = await take(coordinator, "a", ttl=10)
    foreign = sqlite3.connect(harness.path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    await until(lambda: caplog.text.count("postponed: The job store") > 10)
    with pytest.raises(StoreUnavailable, match="locked"):
        await ask(coordinator, KeepAlive("r", 0.1))
    harness.ahead = 100  # its time is long over
    foreign.close()
    await until(lambda: "leases are extended" in caplog.text)
    await until_swept(harness)
    assert await ask(coordinator, IsOwner("a", attempt)) is True


async def test_no_runner_lapses_because_the_machine_slept(
    harness: CoordinatorHarness, caplog: pytest.LogCaptureFixture
) -> None:
    coordinator = await harness.open(lease_seconds=0.5)
    await submit(coordinator, "a")
    attempt = await take(coordinator, "a", ttl=10)
    harness.store.gate.clear()
    harness.store.waiting.clear()
    await until(harness.store.waiting.is_set)  # maintenance is running
    harness.ahead = 1800
    harness.store.gate.set()
    await until(lambda: "leases are extended" in caplog.text)
    await until_swept(harness)
    assert await ask(coordinator, IsOwner("a", attempt)) is True


async def test_maintenance_that_fails_is_logged_and_goes_on(
    harness: CoordinatorHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.run_clock()
    coordinator = await harness.open(lease_seconds=0.1)
    await submit(coordinator, "a")
    await take(coordinator, "a", ttl=60)

    def fault(batch: Sequence[Op]) -> None:
        if any(isinstance(op, Sweep) for op in batch):
            raise ZeroDivisionError("a bug")

    harness.store.fault = fault
    harness.ahead = 61
    await until(lambda: caplog.text.count("Job maintenance failed; trying again") >= 2)
    assert "ZeroDivisionError: a bug" in caplog.text
    assert (await ask(coordinator, Get("a"))).record.status is Status.RUNNING
    harness.store.fault = lambda batch: None
    await until_job(coordinator, "a", status=Status.QUEUED)


async def test_maintenance_that_ended_is_reported_to_everybody(harness: CoordinatorHarness) -> None:
    """The jobs of lost runners would stay leased, so the actor must be replaced."""
    coordinator = await harness.open()
    coordinator.check()
    task = coordinator._maintenance._task
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for call in (coordinator.apply([Get("a")]), coordinator.stats()):
        with pytest.raises(RuntimeError, match="maintenance has ended"):
            await call
