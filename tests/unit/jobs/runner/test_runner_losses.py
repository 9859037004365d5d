"""The runner and the workflow over a real store: processes that die, or return late.

What would break for whom: a client with a job id would wait for ever, or a GPU would work for
nothing.
"""

import asyncio

import pytest

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.runner.runner import Runner
from acestep_ray.jobs.runner.workflow import NoWorker, WorkerLost
from acestep_ray.jobs.store.operations import IsOwner
from acestep_ray.planner.protocol import PlanParameters, PlanRequest
from acestep_ray.settings import Settings
from tests.unit.jobs.engines import FakeEngines
from tests.unit.jobs.local_client import LocalClient
from tests.unit.jobs.runner.submitting import LM, reaches, see, submit, until
from tests.unit.jobs.specs import spec


async def test_a_lost_decoder_is_tried_again_and_the_plan_is_kept(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    def die_once(request: DecodeRequest) -> None:
        if request.attempt == 1:
            raise WorkerLost("killed")

    engines.on_decode = die_once
    job_id = await submit(client, spec(LM))
    record = (await reaches(client, job_id, Status.SUCCEEDED)).record
    assert record.starts == 2
    assert [request.attempt for request in engines.decodes] == [1, 2]
    assert len(engines.plans) == 1


async def test_a_job_that_kills_its_worker_three_times_fails_as_worker_lost(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    def die(request: DecodeRequest) -> None:
        raise WorkerLost("killed")

    engines.on_decode = die
    job_id = await submit(client, spec())
    record = (await reaches(client, job_id, Status.FAILED)).record
    assert record.error_code == ErrorCode.WORKER_LOST
    assert len(engines.decodes) == 3


@pytest.mark.parametrize("lm", [LM, None], ids=["planner", "decoder"])
@pytest.mark.parametrize("words", [0, 2], ids=["at once", "once it had its turn"])
async def test_a_job_that_loses_its_worker_three_times_before_it_begins_fails_too(
    client: LocalClient, engines: FakeEngines, runner: Runner, lm: PlanParameters | None, words: int
) -> None:
    def die(request: PlanRequest | DecodeRequest) -> None:
        if request.caption == "bad":
            raise WorkerLost("killed")

    engines.words = lambda request: words
    engines.die = die
    bad = await submit(client, spec(lm, caption="bad"))
    good = await submit(client, spec(lm))
    record = (await reaches(client, bad, Status.FAILED)).record
    assert record.error_code == ErrorCode.WORKER_LOST
    assert record.error == (
        "The job's worker was lost 3 times, at last before it had begun, so it was given up."
    )
    assert record.starts == 3
    tried: list[PlanRequest | DecodeRequest] = [*engines.plans, *engines.decodes]
    assert [request.attempt for request in tried if request.job_id == bad] == [1, 2, 3]
    assert (await reaches(client, good, Status.SUCCEEDED)).record.starts == 1


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (WorkerLost("killed by the job before it"), 1),
        (NoWorker("It failed to deploy, or is deployed anew."), 0),
    ],
    ids=["in line behind another job", "no replica takes it"],
)
@pytest.mark.parametrize("lm", [LM, None], ids=["after its plan", "without a plan"])
async def test_a_job_that_only_waits_for_a_worker_is_not_given_up(
    client: LocalClient,
    engines: FakeEngines,
    runner: Runner,
    lm: PlanParameters | None,
    why: Exception,
    words: int,
) -> None:
    """A planned job counts as running while it waits for a decoder; this is no lost start."""

    def die(request: PlanRequest | DecodeRequest) -> None:
        if isinstance(request, DecodeRequest) and request.attempt <= 5:
            raise why

    engines.words = lambda request: words
    engines.die = die
    record = (await reaches(client, await submit(client, spec(lm)), Status.SUCCEEDED)).record
    assert (record.attempt, record.starts) == (6, 1)


@pytest.mark.parametrize("lease_seconds", [0.6])
async def test_a_runner_that_dies_loses_its_jobs_to_the_next(
    client: LocalClient, engines: FakeEngines, artifacts: Artifacts, settings: Settings
) -> None:
    engines.gate.clear()
    first = Runner(client, engines, artifacts, settings)
    first.start()
    jobs = [await submit(client, spec()) for _ in range(3)]
    await reaches(client, jobs[0], Status.RUNNING)
    for loop in [*first._loops, *(task for _, task in first._jobs.values())]:
        loop.cancel()  # like kill -9: without Deregister
    second = Runner(client, engines, artifacts, settings)
    second.start()
    engines.gate.set()
    for job_id in jobs:
        record = (await reaches(client, job_id, Status.SUCCEEDED)).record
        assert record.runner is None
    order = [request.job_id for request in engines.decodes if request.attempt == 2]
    assert order == jobs[:2]
    await second.drain()


async def test_a_runner_that_drains_finishes_what_it_has(
    client: LocalClient, engines: FakeEngines, artifacts: Artifacts, settings: Settings
) -> None:
    engines.gate.clear()
    runner = Runner(client, engines, artifacts, settings)
    runner.start()
    jobs = [await submit(client, spec()) for _ in range(4)]
    await reaches(client, jobs[1], Status.RUNNING)
    draining = asyncio.create_task(runner.drain())
    await asyncio.sleep(0)
    engines.gate.set()
    await draining
    statuses = [(await see(client, job_id)).record.status for job_id in jobs]
    assert statuses == [Status.SUCCEEDED, Status.SUCCEEDED, Status.QUEUED, Status.QUEUED]


@pytest.mark.parametrize("lease_seconds", [0.6])
async def test_a_late_attempt_writes_nothing(
    client: LocalClient, engines: FakeEngines, artifacts: Artifacts, settings: Settings
) -> None:
    """A runner that was away longer than its lease returns to a job that another runner has."""
    engines.gate.clear()
    first = Runner(client, engines, artifacts, settings)
    first.start()
    job_id = await submit(client, spec())
    await reaches(client, job_id, Status.RUNNING)
    for loop in first._loops:
        loop.cancel()  # nothing received from it, but its job continues

    async def lost() -> bool:
        return not await client.apply(IsOwner(job_id, 1))

    await until(lost)
    late = first._jobs[job_id][1]
    engines.gate.set()
    await late
    assert (await see(client, job_id)).record.status == Status.QUEUED
    second = Runner(client, engines, artifacts, settings)
    second.start()
    record = (await reaches(client, job_id, Status.SUCCEEDED)).record
    assert record.attempt == 2
    await second.drain()
