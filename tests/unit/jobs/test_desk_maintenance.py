"""The desk takes back what was lost and forgets what is over, and nothing stops it."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.protocol import (
    Cancel,
    Finish,
    Garbage,
    Get,
    JobExpired,
    KeepAlive,
    Op,
    Owns,
    Purge,
    StoreUnavailable,
    Submit,
    Sweep,
)
from tests.unit.jobs.office import (
    Office,
    ask,
    submit,
    take,
    until,
    until_job,
    until_swept,
)


async def test_a_silent_runner_loses_its_jobs(office: Office) -> None:
    office.run_clock()
    desk = await office.open(lease_seconds=0.1)
    await submit(desk, "a")
    attempt = await take(desk, "a", ttl=60)
    office.ahead += 61
    await until_job(desk, "a", status=Status.QUEUED)
    assert await ask(desk, Finish("a", attempt, result="late")) is False


async def test_settings_reach_the_sweep(office: Office) -> None:
    office.run_clock()
    desk = await office.open(lease_seconds=0.1, timeout=100.0, max_starts=1)
    await submit(desk, "a", "b")
    attempt = await take(desk, "a")
    office.ahead += 101
    await until_job(desk, "a", status=Status.FAILED, code=ErrorCode.TIMEOUT)
    assert await ask(desk, Owns("a", attempt)) is False
    await take(desk, "b", runner="s", ttl=60)
    office.ahead += 61
    await until_job(desk, "b", status=Status.FAILED, code=ErrorCode.WORKER_LOST)


async def test_runners_get_time_to_speak_up_after_a_restart(office: Office) -> None:
    desk = await office.open()
    await submit(desk, "a")
    attempt = await take(desk, "a", ttl=10)
    await desk.close()
    office.ahead = 1000
    desk = await office.open(lease_seconds=0.1)
    await until_swept(office)
    assert await ask(desk, Owns("a", attempt)) is True
    office.run_clock()
    await until_job(desk, "a", status=Status.QUEUED)


async def test_a_dead_runner_lapses_though_every_sweep_is_late(office: Office) -> None:
    """As on a machine that is always overloaded."""
    office.run_clock()
    desk = await office.open(lease_seconds=0.1)
    await submit(desk, "a")
    await take(desk, "a", ttl=0.1)

    def slow(batch: Sequence[Op]) -> None:
        if any(isinstance(op, Sweep) for op in batch):
            time.sleep(0.06)  # with the pause before it, more than two thirds of a lease

    office.store.fault = slow
    await until_job(desk, "a", status=Status.QUEUED)


async def test_ended_jobs_are_purged(office: Office) -> None:
    desk = await office.open(lease_seconds=0.05, keep=100.0, purge_every=0.01)
    await submit(desk, "a", "b")
    await ask(desk, Cancel("a"))
    office.ahead = 101
    purge = Purge(100.0, 30 * 86400.0, 86400.0)
    seen = len(office.store.batches)
    await until(lambda: office.store.batches[seen:].count([purge]) > 1)
    with pytest.raises(JobExpired):
        await ask(desk, Get("a"))
    assert await ask(desk, Garbage()) == ["a"]
    assert (await ask(desk, Get("b"))).record.status is Status.QUEUED


async def test_a_purge_goes_on_while_there_is_more(office: Office) -> None:
    desk = await office.open(lease_seconds=0.05, keep=100.0, purge_every=1e6)
    office.store.gate.clear()  # before the first purge
    jobs = [Submit(f"{n}", "{}", False, max_queued=2000) for n in range(1100)]
    call = asyncio.create_task(desk.apply([*jobs, *(Cancel(job.job_id) for job in jobs)]))
    await asyncio.sleep(0)
    office.store.gate.set()
    await call
    office.ahead = 101
    desk._purge_at = 0
    await until(lambda: desk._purge_at > 0)
    assert (await desk.stats()).store.failed == 0


async def test_no_runner_lapses_because_the_store_was_away(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await office.open(lease_seconds=0.1)
    await submit(desk, "a")
    attempt = await take(desk, "a", ttl=10)
    foreign = sqlite3.connect(office.path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    await until(lambda: caplog.text.count("put off: The job store") > 10)
    with pytest.raises(StoreUnavailable, match="locked"):
        await ask(desk, KeepAlive("r", 0.1))
    office.ahead = 100  # its time is long over
    foreign.close()
    await until(lambda: "no runner lapses" in caplog.text)
    await until_swept(office)
    assert await ask(desk, Owns("a", attempt)) is True


async def test_no_runner_lapses_because_the_machine_slept(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await office.open(lease_seconds=0.5)
    await submit(desk, "a")
    attempt = await take(desk, "a", ttl=10)
    office.store.gate.clear()
    office.store.waiting.clear()
    await until(office.store.waiting.is_set)  # maintenance is at work
    office.ahead = 1800
    office.store.gate.set()
    await until(lambda: "no runner lapses" in caplog.text)
    await until_swept(office)
    assert await ask(desk, Owns("a", attempt)) is True


async def test_maintenance_that_fails_is_logged_and_goes_on(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.run_clock()
    desk = await office.open(lease_seconds=0.1)
    await submit(desk, "a")
    await take(desk, "a", ttl=60)

    def fault(batch: Sequence[Op]) -> None:
        if any(isinstance(op, Sweep) for op in batch):
            raise ZeroDivisionError("a bug")

    office.store.fault = fault
    office.ahead = 61
    await until(lambda: caplog.text.count("Job maintenance failed; it goes on") >= 2)
    assert "ZeroDivisionError: a bug" in caplog.text
    assert (await ask(desk, Get("a"))).record.status is Status.RUNNING
    office.store.fault = lambda batch: None
    await until_job(desk, "a", status=Status.QUEUED)


async def test_maintenance_that_ended_is_told_to_everybody(office: Office) -> None:
    """Nobody would take back the jobs of lost runners, so the actor must be replaced."""
    desk = await office.open()
    desk.check()
    task = desk._maintenance
    assert task is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    for call in (desk.apply([Get("a")]), desk.stats()):
        with pytest.raises(RuntimeError, match="maintenance has ended"):
            await call
