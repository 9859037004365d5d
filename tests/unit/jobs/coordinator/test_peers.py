"""Two coordinators on one Redis, as of two clusters: each returns the other's jobs."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from acestep_ray.jobs.client import LeaseRequest
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.events import EventId, OfJob
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Finish, Get, IsOwner, KeepAlive, Lease, Submit
from acestep_ray.jobs.store.redis import RedisStore
from acestep_ray.replicas.registry import Registration
from acestep_ray.settings import Jobs, Settings
from tests.redis_server import RedisServer
from tests.unit.jobs.engines import DESCRIPTION
from tests.unit.jobs.harness import IN_TIME, ask, deploy, now_of, submit, take, until, until_job
from tests.unit.jobs.local_client import LM

HALF = Progress(stage="diffusion", step=4, total=8, fraction=0.5)


@pytest.fixture
def server(tmp_path: Path) -> RedisServer:
    return RedisServer(tmp_path / "redis")


@pytest.fixture
async def coordinators(server: RedisServer) -> AsyncIterator[list[JobCoordinator]]:
    server.start()
    settings = Settings(jobs=Jobs(lease_seconds=2.0))
    coordinators = [
        JobCoordinator(lambda: RedisStore(server.url, timeout=1), settings) for _ in range(2)
    ]
    for coordinator in coordinators:
        await coordinator.open()
    yield coordinators
    for coordinator in coordinators:
        await coordinator.close()
    server.kill()


async def know_each_other(here: JobCoordinator, there: JobCoordinator) -> None:
    """Each has reported to its readers once that they must read everything, as it does at first."""
    for coordinator in (here, there):
        await ask(coordinator, KeepAlive("r", 1e6))
    await until(lambda: bool(here._live._peers) and bool(there._live._peers))


async def test_a_change_at_one_wakes_who_waits_at_the_other(
    coordinators: list[JobCoordinator],
) -> None:
    here, there = coordinators
    await know_each_other(here, there)
    await submit(here, "a")
    await take(here, "a")
    await until_job(there, "a", status=Status.RUNNING)
    since = await now_of(here)
    waiter = asyncio.create_task(here.changes(since, IN_TIME))
    await ask(there, Cancel("a"))
    changes = await waiter
    assert (changes.job_ids, changes.missed) == (("a",), False)
    assert await ask(here, IsOwner("a", 1)) is False


async def test_both_report_progress_and_the_wait(coordinators: list[JobCoordinator]) -> None:
    here, there = coordinators
    await submit(here, "a", "b")
    attempt = await take(here, "a")
    await ask(there, KeepAlive("s", 1e6))  # a runner's registrations count while it lives
    deploy(here, decoders=1)
    deploy(there, decoders=2)
    await here.report([("a", attempt, HALF)])

    async def seen(coordinator: JobCoordinator) -> tuple[object, object, int]:
        running, waiting = await ask(coordinator, Get("a")), await ask(coordinator, Get("b"))
        decoders = (await coordinator.stats()).capacity.decoders
        return running.progress, waiting.eta_seconds, decoders

    expected = (HALF, 5.0 / 3, 3)
    async with asyncio.timeout(IN_TIME):
        while [await seen(coordinator) for coordinator in coordinators] != [expected, expected]:
            await asyncio.sleep(0.01)
    await ask(there, Cancel("a"))
    assert (await ask(there, Get("a"))).progress is None


async def kinds_at(coordinator: JobCoordinator, start: EventId, number: int) -> list[str]:
    """The kinds of the first events of the job "a" after ``start``."""
    async with asyncio.timeout(IN_TIME):
        while True:
            found = await coordinator.events(start, 0, OfJob("a"))
            assert not found.missed
            if len(found.entries) >= number:
                return [str(event.kind) for _, event in found.entries]
            await asyncio.sleep(0.01)


async def test_streams_at_both_follow_a_job_of_one(coordinators: list[JobCoordinator]) -> None:
    here, there = coordinators
    await know_each_other(here, there)
    starts = [(await coordinator.events(None, 0)) for coordinator in coordinators]
    ids = [(start.epoch, start.version) for start in starts]
    await submit(here, "a")
    attempt = await take(here, "a")
    await here.report([("a", attempt, HALF)])
    expected = ["submitted", "running", "stage"]
    for coordinator, start in zip(coordinators, ids, strict=True):
        assert await kinds_at(coordinator, start, 3) == expected
    await ask(there, Cancel("a"))
    for coordinator, start in zip(coordinators, ids, strict=True):
        assert await kinds_at(coordinator, start, 4) == [*expected, "ended"]
    (job,) = (await here.state(OfJob("a"))).jobs
    assert job.record.status.ended


async def test_a_coordinator_that_comes_later_follows_a_job_that_runs(
    coordinators: list[JobCoordinator], server: RedisServer
) -> None:
    here, there = coordinators
    await submit(here, "a")
    attempt = await take(here, "a")
    await there.close()
    there = JobCoordinator(lambda: RedisStore(server.url, timeout=1), Settings())
    await there.open()
    coordinators[1] = there
    await know_each_other(here, there)
    start = await there.events(None, 0)
    await here.report([("a", attempt, HALF)])
    assert await kinds_at(there, (start.epoch, start.version), 1) == ["stage"]


async def test_a_job_is_left_to_the_cluster_that_has_its_planner(
    coordinators: list[JobCoordinator],
) -> None:
    here, there = coordinators
    await ask(there, KeepAlive("s", 100))
    await ask(here, KeepAlive("r", 100))
    ours, theirs = ("old",), ("old", "new")
    for coordinator, names in ((here, ours), (there, theirs)):
        for name in names:
            lm = LM.model_copy(update={"deployment": name})
            coordinator.registry.register(Registration(name, name, lm, 1), time.monotonic())
        deploy(coordinator, decoders=1)
    assert await there.lease(LeaseRequest("s", "1", theirs, cluster="there")) == []
    await until(lambda: here._live.planners_elsewhere() == {"old", "new"})
    await here.apply([Submit("a", "{}", needs_plan=True, planner="new")])
    await here.apply([Submit("b", "{}", needs_plan=True, planner="old")])
    leased = await here.lease(LeaseRequest("r", "1", ours, cluster="here"))
    assert [job.job_id for job in leased] == ["b"]
    leased = await there.lease(LeaseRequest("s", "2", theirs, cluster="there"))
    assert [job.job_id for job in leased] == ["a"]


async def test_a_job_is_left_to_the_cluster_that_has_its_decoder(
    coordinators: list[JobCoordinator],
) -> None:
    """A cluster without it would make the plan, and then fail the job."""
    here, there = coordinators
    both = ("Decoder-turbo", "Decoder-base")
    await ask(there, KeepAlive("s", 100))
    await ask(here, KeepAlive("r", 100))
    for name in both:
        one = Registration(name, name, DESCRIPTION, 1)
        there.registry.register(one, time.monotonic())
    for coordinator in (here, there):
        deploy(coordinator, decoders=coordinator is here, planners=1)
    request = LeaseRequest("s", "1", ("Planner",), cluster="there", decoders=both)
    assert await there.lease(request) == []
    await until(lambda: here._live.decoders_elsewhere() == set(both))
    for job_id, planned in (("a", True), ("b", False)):
        await here.apply([Submit(job_id, "{}", planned, planner="Planner", decoder=both[1])])
    await here.apply([Submit("c", "{}", needs_plan=False)])
    leased = await here.lease(LeaseRequest("r", "1", ("Planner",), cluster="here"))
    assert [job.job_id for job in leased] == ["c"]
    # They are no reason for more decoders here, and wait for those there.
    load = await here.load()
    assert (load.decodes, load.decoders) == (1, {})
    leased = await there.lease(replace(request, request_id="2"))
    assert [job.job_id for job in leased] == ["a", "b"]


async def test_a_dead_cluster_s_jobs_go_to_the_other(coordinators: list[JobCoordinator]) -> None:
    here, there = coordinators
    await submit(here, "a")
    attempt = await take(there, "a", runner="s", ttl=1.0)
    await there.close()
    await until_job(here, "a", status=Status.QUEUED)
    assert await ask(here, Finish("a", attempt, result="late")) is False
    assert await take(here, "a", runner="r") == attempt + 1


async def test_a_coordinator_that_comes_and_goes_does_not_keep_the_other_s_dead_alive(
    coordinators: list[JobCoordinator], server: RedisServer
) -> None:
    """Each opening would extend the leases of all runners, as if the store had been away."""
    here, there = coordinators
    await submit(here, "a")
    await take(there, "a", runner="s", ttl=1.0)
    await there.close()
    stop = asyncio.Event()

    async def restarts() -> None:
        while not stop.is_set():
            coordinator = JobCoordinator(
                lambda: RedisStore(server.url), Settings(jobs=Jobs(lease_seconds=2.0))
            )
            await coordinator.open()
            await asyncio.sleep(0.1)
            await coordinator.close()

    restarting = asyncio.create_task(restarts())
    await until_job(here, "a", status=Status.QUEUED)
    stop.set()
    await restarting


async def test_no_runner_of_either_lapses_because_redis_was_away(
    coordinators: list[JobCoordinator], server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    here, there = coordinators
    await submit(here, "a", "b")
    await take(here, "a", runner="r", ttl=2.0)
    await ask(there, KeepAlive("s", 2.0))
    (b,) = await ask(there, Lease("s", "b", 0, 1, cluster="there"))
    for coordinator in coordinators:
        coordinator._maintenance._extended_at = (0.0, 0.0)  # long ago
    server.kill()
    await until(lambda: caplog.text.count("postponed") >= 8)  # of both: longer than a lease
    with pytest.raises(StoreUnavailable):
        await ask(here, Get("a"))
    server.start()
    # The first coordinator that sweeps does it for both.
    await until(lambda: "leases are extended" in caplog.text)
    for coordinator, runner in ((here, "r"), (there, "s")):
        async with asyncio.timeout(IN_TIME):
            while True:
                try:
                    await ask(coordinator, KeepAlive(runner, 100.0))
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.01)
    assert await ask(here, IsOwner("a", 1)) is True
    assert await ask(there, IsOwner("b", b.attempt)) is True


async def test_after_redis_was_away_everybody_reads_everything(
    coordinators: list[JobCoordinator], server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = coordinators
    await know_each_other(here, there)
    since = await now_of(here)
    waiter = asyncio.create_task(here.changes(since, IN_TIME))
    server.kill()
    await until(lambda: "stores cannot be reached" in caplog.text)
    server.start()
    assert (await waiter).missed
