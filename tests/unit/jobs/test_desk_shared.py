"""Two desks on one Redis, as of two clusters: each answers for the other's jobs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acestep_ray.jobs.desk import JobDesk
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import Capacity
from acestep_ray.jobs.store.protocol import (
    Cancel,
    Finish,
    Get,
    KeepAlive,
    Lease,
    Owns,
    StoreUnavailable,
    Submit,
)
from acestep_ray.jobs.store.redis import RedisStore
from acestep_ray.settings import Jobs, Settings
from tests.redis_server import RedisServer
from tests.unit.jobs.office import IN_TIME, ask, now_of, submit, take, until, until_job

HALF = Progress(stage="diffusion", step=4, total=8, fraction=0.5)


@pytest.fixture
def server(tmp_path: Path) -> RedisServer:
    return RedisServer(tmp_path / "redis")


@pytest.fixture
async def desks(server: RedisServer) -> AsyncIterator[list[JobDesk]]:
    server.start()
    settings = Settings(jobs=Jobs(lease_seconds=2.0))
    desks = [JobDesk(lambda: RedisStore(server.url, timeout=1), settings) for _ in range(2)]
    for desk in desks:
        await desk.open()
    yield desks
    for desk in desks:
        await desk.close()
    server.kill()


async def heard_of_each_other(here: JobDesk, there: JobDesk) -> None:
    """Each has told its readers once that they must look at everything, as it does at first."""
    for desk in (here, there):
        await desk.report("r", Capacity(decoders=1), [])
    await until(lambda: bool(here._reports._boards) and bool(there._reports._boards))


async def test_a_change_at_one_wakes_who_waits_at_the_other(desks: list[JobDesk]) -> None:
    here, there = desks
    await heard_of_each_other(here, there)
    await submit(here, "a")
    await take(here, "a")
    await until_job(there, "a", status=Status.RUNNING)
    since = await now_of(here)
    waiter = asyncio.create_task(here.changes(since, IN_TIME))
    await ask(there, Cancel("a"))
    changes = await waiter
    assert (changes.job_ids, changes.missed) == (("a",), False)
    assert await ask(here, Owns("a", 1)) is False


async def test_progress_and_the_wait_are_told_by_both(desks: list[JobDesk]) -> None:
    here, there = desks
    await submit(here, "a", "b")
    attempt = await take(here, "a")
    await ask(there, KeepAlive("s", 1e6))  # what a runner sees counts while it lives
    await here.report("r", Capacity(decoders=1), [("a", attempt, HALF)])
    await there.report("s", Capacity(decoders=2), [])

    async def seen(desk: JobDesk) -> tuple[object, object, int]:
        running, waiting = await ask(desk, Get("a")), await ask(desk, Get("b"))
        decoders = (await desk.stats()).capacity.decoders
        return running.progress, waiting.eta_seconds, decoders

    expected = (HALF, 5.0 / 3, 3)
    async with asyncio.timeout(IN_TIME):
        while [await seen(desk) for desk in desks] != [expected, expected]:
            await asyncio.sleep(0.01)
    await ask(there, Cancel("a"))
    assert (await ask(there, Get("a"))).progress is None


async def test_a_job_is_left_to_the_cluster_that_has_its_planner(desks: list[JobDesk]) -> None:
    here, there = desks
    await ask(there, KeepAlive("s", 100))
    await ask(here, KeepAlive("r", 100))
    ours, theirs = {"old": 1}, {"old": 1, "new": 1}
    assert await ask(there, Lease("s", "1", 2, 1, theirs, cluster="there")) == []
    await until(lambda: here._reports.planners_elsewhere() == {"old", "new"})
    await here.apply([Submit("a", "{}", needs_plan=True, planner="new")])
    await here.apply([Submit("b", "{}", needs_plan=True, planner="old")])
    leased = await ask(here, Lease("r", "1", 2, 1, ours, cluster="here"))
    assert [job.job_id for job in leased] == ["b"]
    leased = await ask(there, Lease("s", "2", 2, 1, theirs, cluster="there"))
    assert [job.job_id for job in leased] == ["a"]


async def test_a_dead_cluster_s_jobs_go_to_the_other(desks: list[JobDesk]) -> None:
    here, there = desks
    await submit(here, "a")
    attempt = await take(there, "a", runner="s", ttl=1.0)
    await there.close()
    await until_job(here, "a", status=Status.QUEUED)
    assert await ask(here, Finish("a", attempt, result="late")) is False
    assert await take(here, "a", runner="r") == attempt + 1


async def test_a_desk_that_comes_and_goes_does_not_keep_the_other_s_dead_alive(
    desks: list[JobDesk], server: RedisServer
) -> None:
    """Each opening would be a grace for all runners, if the store had not been there meanwhile."""
    here, there = desks
    await submit(here, "a")
    await take(there, "a", runner="s", ttl=1.0)
    await there.close()
    stop = asyncio.Event()

    async def restarts() -> None:
        while not stop.is_set():
            desk = JobDesk(lambda: RedisStore(server.url), Settings(jobs=Jobs(lease_seconds=2.0)))
            await desk.open()
            await asyncio.sleep(0.1)
            await desk.close()

    restarting = asyncio.create_task(restarts())
    await until_job(here, "a", status=Status.QUEUED)
    stop.set()
    await restarting


async def test_no_runner_of_either_lapses_because_redis_was_away(
    desks: list[JobDesk], server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    here, there = desks
    await submit(here, "a", "b")
    await take(here, "a", runner="r", ttl=2.0)
    await ask(there, KeepAlive("s", 2.0))
    (b,) = await ask(there, Lease("s", "b", 0, 1, cluster="there"))
    for desk in desks:
        desk._graced_at = (0.0, 0.0)  # long ago
    server.kill()
    await until(lambda: caplog.text.count("put off") >= 8)  # both desks: longer than a lease
    with pytest.raises(StoreUnavailable):
        await ask(here, Get("a"))
    server.start()
    # The first desk that sweeps speaks for both.
    await until(lambda: "no runner lapses for it" in caplog.text)
    for desk, runner in ((here, "r"), (there, "s")):
        async with asyncio.timeout(IN_TIME):
            while True:
                try:
                    await ask(desk, KeepAlive(runner, 100.0))
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.01)
    assert await ask(here, Owns("a", 1)) is True
    assert await ask(there, Owns("b", b.attempt)) is True


async def test_after_redis_was_away_everybody_looks_at_everything(
    desks: list[JobDesk], server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = desks
    await heard_of_each_other(here, there)
    since = await now_of(here)
    waiter = asyncio.create_task(here.changes(since, IN_TIME))
    server.kill()
    await until(lambda: "stores are not heard" in caplog.text)
    server.start()
    assert (await waiter).missed
