"""The runner and the workflow over a real store: who dies, returns late or is cancelled meanwhile.

What would break for whom: a client that was given an id would wait for ever, or a GPU would work
for nobody.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import DecodeFailed
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.result import JobResult
from acestep_ray.jobs.runner import workflow
from acestep_ray.jobs.runner.runner import Runner
from acestep_ray.jobs.runner.workflow import NoWorker, WorkerLost
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.operations import Cancel, Get, IsOwner, Submit
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.planner.protocol import PlannerError, PlanParameters, PlanRequest
from acestep_ray.settings import Settings
from tests.unit.jobs.engines import FakeEngines
from tests.unit.jobs.local_client import LocalClient
from tests.unit.jobs.specs import spec
from tests.unit.jobs.store.conftest import FACTORIES

LM = PlanParameters(backend="mock")


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate({"jobs": {"lease_seconds": 0.6}})


@pytest.fixture(params=FACTORIES)
async def client(
    request: pytest.FixtureRequest, tmp_path: Path, settings: Settings
) -> AsyncIterator[LocalClient]:
    coordinator = JobCoordinator(FACTORIES[request.param](tmp_path), settings)
    await coordinator.open()
    client = LocalClient(coordinator)
    client.deploy(2, 2)
    yield client
    await coordinator.close()


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts((tmp_path / "artifacts").as_uri())


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> FakeEngines:
    monkeypatch.setattr(workflow, "UNSTARTED_PAUSE", 0.0)
    return FakeEngines()


@pytest.fixture
async def runner(
    client: LocalClient, engines: FakeEngines, artifacts: Artifacts, settings: Settings
) -> AsyncIterator[Runner]:
    runner = Runner(client, engines, artifacts, settings)
    runner.start()
    yield runner
    engines.gate.set()
    await runner.drain()


async def submit(client: LocalClient, job: JobSpec) -> str:
    job_id = str(uuid.uuid4())
    await client.apply(Submit(job_id, job.model_dump_json(), needs_plan=job.needs_plan))
    return job_id


async def see(client: LocalClient, job_id: str) -> Snapshot:
    snapshot: Snapshot = await client.apply(Get(job_id))
    return snapshot


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def reaches(client: LocalClient, job_id: str, status: Status) -> Snapshot:
    async def there() -> bool:
        return (await see(client, job_id)).record.status == status

    await until(there)
    return await see(client, job_id)


async def test_a_job_is_planned_decoded_and_finished(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    job_id = await submit(client, spec(LM, bpm=120))
    record = (await reaches(client, job_id, Status.SUCCEEDED)).record
    assert record.result
    result = JobResult.model_validate_json(record.result)
    assert [take.seed for take in result.takes] == [1, 2]
    assert result.plan
    (request,) = engines.decodes
    # The user's tempo wins; key, metre and length are the plan's.
    assert (request.bpm, request.key_scale, request.time_signature) == (120, "D minor", "3")
    assert (request.seconds, request.codes) == (40.0, ((7,) * 200,))
    assert "Steps: 8, Scale: 7.0" in result.generation_info
    assert "mock" in result.generation_info
    assert record.starts == 1


async def test_progress_is_told_while_it_runs(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    engines.gate.clear()
    job_id = await submit(client, spec(LM))

    async def told() -> bool:
        progress = (await see(client, job_id)).progress
        return progress is not None and progress.stage == "diffusion"

    await until(told)
    snapshot = await see(client, job_id)
    assert snapshot.progress
    assert snapshot.progress.fraction == pytest.approx(0.42)
    engines.gate.set()
    await reaches(client, job_id, Status.SUCCEEDED)


async def test_no_more_is_leased_than_the_engines_can_start(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    engines.gate.clear()
    jobs = [await submit(client, spec()) for _ in range(5)]
    await reaches(client, jobs[1], Status.RUNNING)
    positions = [(await see(client, job_id)).record.position for job_id in jobs]
    assert positions == [0, 0, 1, 2, 3]
    assert len(engines.decodes) == 2
    engines.gate.set()
    for job_id in jobs:
        await reaches(client, job_id, Status.SUCCEEDED)
    assert [request.job_id for request in engines.decodes] == jobs


async def test_cancelling_a_running_job_stops_its_engine(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    engines.gate.clear()
    job_id = await submit(client, spec())
    await reaches(client, job_id, Status.RUNNING)
    await client.apply(Cancel(job_id))
    snapshot = await see(client, job_id)
    assert (snapshot.record.status, snapshot.record.error_code) == (
        Status.FAILED,
        ErrorCode.CANCELLED,
    )

    async def stopped() -> bool:
        return engines.stopped == [job_id]

    await until(stopped)


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
    """A planned job runs already while it waits for a decoder; that is no start lost either."""

    def die(request: PlanRequest | DecodeRequest) -> None:
        if isinstance(request, DecodeRequest) and request.attempt <= 5:
            raise why

    engines.words = lambda request: words
    engines.die = die
    record = (await reaches(client, await submit(client, spec(lm)), Status.SUCCEEDED)).record
    assert (record.attempt, record.starts) == (6, 1)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (PlannerError("The plan broke."), ErrorCode.PLANNER_FAILED),
        (ZeroDivisionError("secret"), ErrorCode.INTERNAL),
    ],
)
async def test_a_planner_failure_fails_that_job_only(
    client: LocalClient, engines: FakeEngines, runner: Runner, failure: Exception, code: ErrorCode
) -> None:
    def fail(request: PlanRequest) -> None:
        if request.caption == "bad":
            raise failure

    engines.on_plan = fail
    bad = await submit(client, spec(LM, caption="bad"))
    good = await submit(client, spec(LM))
    record = (await reaches(client, bad, Status.FAILED)).record
    assert record.error_code == code
    assert record.error
    assert "secret" not in record.error
    await reaches(client, good, Status.SUCCEEDED)


async def test_a_decoder_failure_has_its_code_and_sentence(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    engines.last = lambda request: DecodeFailed(code="out_of_memory", detail="Too long.")
    record = (await reaches(client, await submit(client, spec()), Status.FAILED)).record
    assert (record.error_code, record.error) == (ErrorCode.OUT_OF_MEMORY, "Too long.")


async def test_a_runner_that_dies_loses_its_jobs_to_the_next(
    client: LocalClient, engines: FakeEngines, artifacts: Artifacts, settings: Settings
) -> None:
    engines.gate.clear()
    first = Runner(client, engines, artifacts, settings)
    first.start()
    jobs = [await submit(client, spec()) for _ in range(3)]
    await reaches(client, jobs[0], Status.RUNNING)
    for loop in [*first._loops, *(task for _, task in first._jobs.values())]:
        loop.cancel()  # as kill -9 would: without a goodbye
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


async def test_a_late_attempt_writes_nothing(
    client: LocalClient, engines: FakeEngines, artifacts: Artifacts, settings: Settings
) -> None:
    """A runner that was away longer than its lease comes back to a job that is another's."""
    engines.gate.clear()
    first = Runner(client, engines, artifacts, settings)
    first.start()
    job_id = await submit(client, spec())
    await reaches(client, job_id, Status.RUNNING)
    for loop in first._loops:
        loop.cancel()  # unheard of, but its job goes on

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


async def test_a_job_that_takes_too_long_fails_and_is_stopped(
    tmp_path: Path, engines: FakeEngines, artifacts: Artifacts
) -> None:
    settings = Settings.model_validate({"jobs": {"lease_seconds": 0.6, "timeout": 0.3}})
    coordinator = JobCoordinator(lambda: SqliteStore(tmp_path / "jobs.sqlite"), settings)
    await coordinator.open()
    client = LocalClient(coordinator)
    client.deploy(2, 2)
    runner = Runner(client, engines, artifacts, settings)
    runner.start()
    engines.gate.clear()
    job_id = await submit(client, spec())
    record = (await reaches(client, job_id, Status.FAILED)).record
    assert record.error_code == ErrorCode.TIMEOUT

    async def stopped() -> bool:
        return engines.stopped == [job_id]

    await until(stopped)
    await runner.drain()
    await coordinator.close()


async def test_a_record_that_cannot_be_read_fails_alone(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    """After an upgrade, say: it must not keep the jobs behind it from running."""
    bad = str(uuid.uuid4())
    await client.apply(Submit(bad, '{"from": "another version"}', needs_plan=False))
    good = await submit(client, spec())
    record = (await reaches(client, bad, Status.FAILED)).record
    assert record.error_code == ErrorCode.INTERNAL
    await reaches(client, good, Status.SUCCEEDED)


async def test_an_engine_that_never_begins_does_not_keep_a_job_for_ever(
    tmp_path: Path, engines: FakeEngines, artifacts: Artifacts
) -> None:
    settings = Settings.model_validate({"jobs": {"lease_seconds": 0.6, "timeout": 0.3}})
    coordinator = JobCoordinator(lambda: SqliteStore(tmp_path / "jobs.sqlite"), settings)
    await coordinator.open()
    client = LocalClient(coordinator)
    client.deploy(2, 2)
    runner = Runner(client, engines, artifacts, settings)
    runner.start()
    engines.silent.clear()
    record = (await reaches(client, await submit(client, spec()), Status.FAILED)).record
    assert (record.error_code, record.starts) == (ErrorCode.TIMEOUT, 0)
    engines.silent.set()
    await reaches(client, await submit(client, spec()), Status.SUCCEEDED)
    await runner.drain()
    await coordinator.close()
