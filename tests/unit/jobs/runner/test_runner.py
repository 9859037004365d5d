"""The runner and the workflow over a real store: jobs that succeed, fail, or are cancelled.

What would break for whom: a client with a job id would wait for ever, or a GPU would work for
nothing.
"""

import uuid
from pathlib import Path

import pytest

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import DecodeFailed
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.client import LeaseRequest
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.engine_requests import plan_request
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.result import JobResult
from acestep_ray.jobs.runner.runner import Runner
from acestep_ray.jobs.runner.workflow import WorkerLost
from acestep_ray.jobs.store.operations import Cancel, KeepAlive, Release, SavePlan, Submit
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.planner.protocol import Plan, PlannerError, PlanRequest
from acestep_ray.settings import Settings
from tests.unit.jobs.engines import FakeEngines, plan_of
from tests.unit.jobs.local_client import LocalClient
from tests.unit.jobs.runner.submitting import LM, SAMPLE, reaches, see, submit, until
from tests.unit.jobs.specs import spec


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


async def test_progress_is_reported_while_it_runs(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    engines.gate.clear()
    job_id = await submit(client, spec(LM))

    async def reported() -> bool:
        progress = (await see(client, job_id)).progress
        return progress is not None and progress.stage == "diffusion"

    await until(reported)
    snapshot = await see(client, job_id)
    assert snapshot.progress
    assert snapshot.progress.fraction == pytest.approx(0.42)
    engines.gate.set()
    await reaches(client, job_id, Status.SUCCEEDED)


async def test_a_song_whose_text_the_lm_writes(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    engines.written.clear()
    job_id = await submit(client, spec(SAMPLE, caption="rain"))

    async def writing() -> bool:
        progress = (await see(client, job_id)).progress
        return progress is not None and progress.stage == "writing"

    await until(writing)
    progress = (await see(client, job_id)).progress
    assert progress and progress.fraction == pytest.approx(0.05)
    engines.written.set()
    record = (await reaches(client, job_id, Status.SUCCEEDED)).record
    assert record.result
    result = JobResult.model_validate_json(record.result)
    assert result.plan and result.plan.text and result.plan.text.lyrics == "la"
    assert "Text: caption and lyrics written by lm" in result.generation_info
    (request,) = engines.decodes
    assert (request.caption, request.lyrics) == ("written", "la")


async def test_a_stored_plan_without_the_text_that_was_asked_for_is_made_anew(
    client: LocalClient, engines: FakeEngines, artifacts: Artifacts, settings: Settings
) -> None:
    """A runner of earlier code does not know that a text was asked for, and stores such a plan."""
    job_id = await submit(client, spec(SAMPLE, caption="rain"))
    await client.apply(KeepAlive("earlier", 60.0))
    (record,) = await client.lease(LeaseRequest("earlier", "1", ("Planner",)))
    asked = plan_request(job_id, record.attempt, spec(LM), settings)
    plan = plan_of(asked).model_dump_json()
    assert await client.apply(SavePlan(job_id, record.attempt, plan))
    assert await client.apply(Release(job_id, record.attempt, lost=False))
    later = Runner(client, engines, artifacts, settings)
    later.start()
    try:
        record = (await reaches(client, job_id, Status.SUCCEEDED)).record
    finally:
        await later.drain()
    assert [request.lyrics for request in engines.decodes] == ["la"]
    assert record.result
    made = JobResult.model_validate_json(record.result).plan
    assert made and made.text


@pytest.mark.parametrize("words", [0, 2], ids=["at once", "once it had its turn"])
async def test_a_planner_that_does_not_write_is_stopped_before_it_plans(
    client: LocalClient, engines: FakeEngines, runner: Runner, words: int
) -> None:
    """During an upgrade it may be of earlier code: its song would have no words, and each of its
    plans would be made on a GPU for nothing."""
    planned: list[PlanRequest] = []
    engines.words = lambda request: words
    engines.on_plan = planned.append
    engines.writes = lambda request: len(engines.plans) > 4
    job_id = await submit(client, spec(SAMPLE, caption="rain"))
    record = (await reaches(client, job_id, Status.SUCCEEDED)).record
    assert (len(engines.plans), len(planned)) == (5, 1)
    assert record.starts == 1, "the other attempts do not count"
    assert [request.lyrics for request in engines.decodes] == ["la"]


PER_TAKE = LM.model_copy(update={"plan_per_take": True})


def of_each(request: PlanRequest) -> Plan:
    """A plan with codes for each take."""
    codes = tuple((seed,) * 200 for seed in request.seeds)
    return plan_of(request).model_copy(update={"codes": codes[0], "take_codes": codes})


async def test_each_take_gets_its_own_codes_also_after_its_decoder_was_lost(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    """The plan is stored, so a later attempt plans none of them again."""

    def lose_once(request: DecodeRequest) -> None:
        if request.attempt == 1:
            raise WorkerLost("the decoder died")

    engines.last_of_plan, engines.on_decode = of_each, lose_once
    job_id = await submit(client, spec(PER_TAKE, seeds=(5, 6)))
    record = (await reaches(client, job_id, Status.SUCCEEDED)).record
    assert [request.seeds for request in engines.plans] == [(5, 6)]
    assert [request.codes for request in engines.decodes] == [((5,) * 200, (6,) * 200)] * 2
    assert record.result
    made = JobResult.model_validate_json(record.result).plan
    assert made and made.take_codes == engines.decodes[0].codes


async def test_a_planner_of_earlier_code_does_not_decide_that_takes_share_their_codes(
    client: LocalClient, engines: FakeEngines, runner: Runner
) -> None:
    """During an upgrade: what a seed gives must not depend on which replica took the job."""

    def by_replica(request: PlanRequest) -> Plan:
        return of_each(request) if len(engines.plans) > 2 else plan_of(request)

    engines.last_of_plan = by_replica
    job_id = await submit(client, spec(PER_TAKE, seeds=(5, 6)))
    record = (await reaches(client, job_id, Status.SUCCEEDED)).record
    assert (len(engines.plans), record.starts) == (3, 1)
    assert [request.codes for request in engines.decodes] == [((5,) * 200, (6,) * 200)]


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


async def test_a_job_that_takes_too_long_fails_and_is_stopped(
    tmp_path: Path, engines: FakeEngines, artifacts: Artifacts
) -> None:
    settings = Settings.model_validate({"jobs": {"timeout": 0.3}})
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
    """For example after an upgrade: it must not keep the jobs behind it from running."""
    bad = str(uuid.uuid4())
    await client.apply(Submit(bad, '{"from": "another version"}', needs_plan=False))
    good = await submit(client, spec())
    record = (await reaches(client, bad, Status.FAILED)).record
    assert record.error_code == ErrorCode.INTERNAL
    await reaches(client, good, Status.SUCCEEDED)


async def test_an_engine_that_never_begins_does_not_keep_a_job_for_ever(
    tmp_path: Path, engines: FakeEngines, artifacts: Artifacts
) -> None:
    settings = Settings.model_validate({"jobs": {"timeout": 0.3}})
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
