"""Every span of a job hangs on the span of its submit, however often its runner is lost."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import DecodeFailed
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.coordinator.job_traces import JobTraces
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.runner.runner import Runner
from acestep_ray.jobs.runner.workflow import WorkerLost
from acestep_ray.jobs.store.operations import Cancel, Get, Submit
from acestep_ray.jobs.store.records import JobRecord
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.settings import Settings, Tracing
from acestep_ray.tracing.otlp import OtlpTracer
from acestep_ray.work_context import WorkContext, work_context
from tests.otlp_receiver import OtlpReceiver, Received
from tests.unit.jobs.engines import FakeEngines
from tests.unit.jobs.local_client import LocalClient
from tests.unit.jobs.runner.submitting import LM, reaches, submit, until
from tests.unit.jobs.specs import spec

SUBMIT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORIGIN = {"trace": SUBMIT, "request_id": "r-1"}


class TracedRunner:
    """A runner and a coordinator that trace into one receiver."""

    def __init__(self, client: LocalClient, receiver: OtlpReceiver, tracer: OtlpTracer) -> None:
        self.client = client
        self.receiver = receiver
        self.tracer = tracer

    async def submit(self, *, planned: bool = False) -> str:
        job = spec(LM if planned else None).model_copy(update=ORIGIN)
        return await submit(self.client, job)

    async def spans(self, *names: str) -> list[Received]:
        """The spans in the order of their starts, once these are among them."""

        async def there() -> bool:
            found = [span.name for span in self.receiver.spans()]
            return all(found.count(name) >= names.count(name) for name in names)

        await until(there)
        spans = sorted(self.receiver.spans(), key=lambda span: span.began)
        assert {(span.trace, span.parent) for span in spans} == {(SUBMIT[3:35], SUBMIT[36:52])}
        return spans


@pytest.fixture
async def traced(
    tmp_path: Path, engines: FakeEngines, artifacts: Artifacts, settings: Settings
) -> AsyncIterator[TracedRunner]:
    with OtlpReceiver() as receiver:
        tracer = OtlpTracer(Tracing(endpoint=receiver.url), "Runner")

        async def read(job_id: str) -> JobRecord:
            return (await client.apply(Get(job_id))).record

        coordinator = JobCoordinator(
            lambda: SqliteStore(tmp_path / "jobs.sqlite"),
            settings,
            observers=[JobTraces(tracer, read).changed],
        )
        await coordinator.open()
        client = LocalClient(coordinator)
        client.deploy(2, 2)
        runner = Runner(client, engines, artifacts, settings, tracer=tracer)
        runner.start()
        yield TracedRunner(client, receiver, tracer)
        engines.gate.set()
        await runner.drain()
        await coordinator.close()
        tracer.close()


async def test_a_planned_job(traced: TracedRunner) -> None:
    job_id = await traced.submit(planned=True)
    record = (await reaches(traced.client, job_id, Status.SUCCEEDED)).record
    spans = await traced.spans("queue", "plan", "decode", "job", *["store"] * 2)
    stored = [s.attributes["acestep.operation"] for s in spans if s.name == "store"]
    assert stored == ["SavePlan", "Finish"]
    for span in spans:
        assert span.attributes["acestep.job_id"] == job_id
        assert span.attributes["acestep.attempt"] == 1
        assert span.attributes["acestep.task"] == "text2music"
        assert not span.failed
    (job,) = (span for span in spans if span.name == "job")
    assert job.began == pytest.approx(record.created_at, abs=1e-3)
    assert job.attributes["acestep.status"] == "succeeded"


async def test_engines_get_the_submits_span_and_request(
    traced: TracedRunner, engines: FakeEngines
) -> None:
    job_id = await traced.submit(planned=True)
    await reaches(traced.client, job_id, Status.SUCCEEDED)
    (plan,), (decode,) = engines.plans, engines.decodes
    assert (plan.trace, plan.request_id) == (SUBMIT, "r-1")
    assert (decode.trace, decode.request_id) == (SUBMIT, "r-1")


async def test_a_job_that_lost_its_worker_waits_again(
    traced: TracedRunner, engines: FakeEngines
) -> None:
    def die_once(request: DecodeRequest) -> None:
        if request.attempt == 1:
            raise WorkerLost("the decoder died")

    engines.on_decode = die_once
    job_id = await traced.submit()
    await reaches(traced.client, job_id, Status.SUCCEEDED)
    spans = await traced.spans("queue", "queue", "decode", "decode", "job")
    attempts = {
        name: [span.attempt for span in spans if span.name == name] for name in ("queue", "decode")
    }
    assert attempts == {"queue": [1, 2], "decode": [1, 2]}
    first, second = (span for span in spans if span.name == "decode")
    assert first.failed and first.attributes["error.type"] == "WorkerLost"
    assert not second.failed


async def test_a_failure_has_its_code(traced: TracedRunner, engines: FakeEngines) -> None:
    engines.last = lambda request: DecodeFailed(code="out_of_memory", detail="Too long.")
    job_id = await traced.submit()
    await reaches(traced.client, job_id, Status.FAILED)
    spans = await traced.spans("decode", "job")
    for name in ("decode", "job"):
        (span,) = (span for span in spans if span.name == name)
        assert span.failed and span.attributes["acestep.error_code"] == "out_of_memory"


async def test_the_end_of_a_job_without_a_runner(
    traced: TracedRunner, engines: FakeEngines
) -> None:
    traced.client.deploy(0, 0)
    job_id = await traced.submit()
    await traced.client.apply(Cancel(job_id))
    (job,) = await traced.spans("job")
    assert job.failed and job.attributes["acestep.error_code"] == "cancelled"
    assert job.attributes["acestep.status"] == "failed"


async def test_log_lines_of_a_job_hold_its_ids(
    traced: TracedRunner, engines: FakeEngines, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[WorkContext] = []

    def fail(request: DecodeRequest) -> None:
        seen.append(work_context())
        raise ZeroDivisionError

    engines.on_decode = fail
    job_id = await traced.submit()
    await reaches(traced.client, job_id, Status.FAILED)
    assert seen == [WorkContext("r-1", job_id, 1, SUBMIT)]
    assert work_context() == WorkContext()


async def test_an_unreadable_job_is_logged_without_its_texts(
    traced: TracedRunner, caplog: pytest.LogCaptureFixture
) -> None:
    text = spec(lyrics="my secret lyrics").model_dump_json().replace('"steps":8', '"steps":"many"')
    with caplog.at_level(logging.DEBUG):
        await traced.client.apply(Submit("bad", text, needs_plan=False))
        await reaches(traced.client, "bad", Status.FAILED)
    assert "cannot be read" in caplog.text
    assert "secret" not in caplog.text
