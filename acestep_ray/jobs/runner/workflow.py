"""One job from its lease to its end: plan, then decode, then finish."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from acestep_ray.decoder.events import Decoded, DecodeEvent, DecodeFailed, DecodeProgress
from acestep_ray.decoder.protocol import DecodeRequest, DecoderError
from acestep_ray.jobs.decode_cost import decoder_work
from acestep_ray.jobs.engine_requests import decode_request, has_codes_of_takes, plan_request
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.progress_spans import WAITING, spans_of
from acestep_ray.jobs.result import JobResult, Progress
from acestep_ray.jobs.runner.generation_info import generation_info
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.operations import Direct, Finish, Release, SavePlan, Start
from acestep_ray.jobs.store.records import JobRecord
from acestep_ray.planner.protocol import Plan, PlannerError, PlanProgress, PlanRequest
from acestep_ray.settings import Settings
from acestep_ray.timebase import SAMPLE_RATE
from acestep_ray.tracing.tracer import NO_TRACER, Attribute, Kind, Span, Tracer
from acestep_ray.work_context import work_for

logger = logging.getLogger(__name__)

UNSTARTED_PAUSE = 1.0
"""Seconds before an unstarted job is given back: otherwise it would be leased again at once,
without success."""
MOST_PAUSES = 5.0
"""Largest number of such pauses after a second loss; the number is random. So two jobs that were
lost together return at different times: otherwise a harmless job would be lost each time together
with the harmful one."""


class WorkerLost(Exception):
    """The replica that had the work has died. A job whose worker is lost too often fails."""


class NoWorker(Exception):
    """No replica can take the work at the moment. The job has to wait."""


class Engines(Protocol):
    """How the workflow reaches planner and decoder. Both raise WorkerLost and NoWorker."""

    def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See PlannerEngine.plan."""
        ...

    def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See DecodeWorker.decode."""
        ...


class JobWriter(Protocol):
    """The store, as the workflow writes to it."""

    async def write(self, op: Direct[bool]) -> bool:
        """Apply an operation and return whether the attempt still has the job. Waits while the
        store is unavailable."""
        ...

    def progress(self, job_id: str, attempt: int, progress: Progress) -> None:
        """Report how far the job is. Kept in memory; never waits."""
        ...


class _AttemptOver(Exception):
    """The attempt has lost its job: stop, and write nothing more."""


class Workflow:
    """Runs one leased job to its end. Cancelling ``run`` stops its engine."""

    def __init__(
        self,
        record: JobRecord,
        engines: Engines,
        writer: JobWriter,
        settings: Settings,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._job_id = record.job_id
        self._attempt = record.attempt
        self._starts = record.starts
        self._created_at = record.created_at
        self._spec = JobSpec.model_validate_json(record.spec)
        self._plan = self._stored_plan(record)
        self._engines = engines
        self._writer = writer
        self._settings = settings
        self._tracer = tracer
        self._started_at: float | None = None
        self._in_line = False  # whether it waits at its worker, after another job
        self._fraction = 0.0

    async def run(self) -> None:
        """Plan, decode, finish. The job is given back if no worker took it or the worker was lost;
        everything else ends it."""
        with work_for(request_id=self._spec.request_id, trace=self._spec.trace):
            if self._attempt == 1:  # when a job came back to the queue is not stored
                self._span("queue", at=self._created_at).end()
            await self._run()

    def _span(self, name: str, kind: Kind = "internal", at: float | None = None) -> Span:
        """A span of this attempt. If this process is killed it is lost: no other may belong to it,
        so all of a job's spans belong to that of its submit."""
        attributes: dict[str, Attribute] = {
            "acestep.job_id": self._job_id,
            "acestep.attempt": self._attempt,
            "acestep.task": self._spec.decode.task,
        }
        return self._tracer.start(
            name, parent=self._spec.trace, kind=kind, attributes=attributes, at=at
        )

    async def _run(self) -> None:
        try:
            async with asyncio.timeout(self._settings.jobs.timeout) as self._patience:
                if self._spec.plan and not self._plan:
                    with self._span("plan", "client"):
                        self._plan = await self._make_plan()
                with self._span("decode", "client") as span:
                    await self._decode(span)
        except TimeoutError:
            limit = self._settings.jobs.timeout
            await self._fail(
                ErrorCode.TIMEOUT, f"No engine began the job within {limit:g} seconds."
            )
        except _AttemptOver:
            logger.info("The attempt is over: the job has ended, or another attempt has it.")
        except NoWorker as error:
            logger.warning("Job %s has no worker yet: %s", self._job_id, error)
            await asyncio.sleep(UNSTARTED_PAUSE)
            await self._release(lost=False)
        except WorkerLost as error:
            logger.warning("Job %s lost its worker: %s", self._job_id, error)
            if self._started_at is None:
                pauses = random.uniform(1.0, MOST_PAUSES) if self._starts else 1.0
                await asyncio.sleep(UNSTARTED_PAUSE * pauses)
            await self._release(lost=not self._in_line)
        except PlannerError as error:
            await self._fail(ErrorCode.PLANNER_FAILED, str(error))
        except DecoderError as error:
            await self._fail(ErrorCode.DECODER_FAILED, str(error))
        except Exception:
            logger.exception("Job %s failed", self._job_id)
            await self._fail(
                ErrorCode.INTERNAL, "The job failed unexpectedly; the server's log has the cause."
            )

    def _stored_plan(self, record: JobRecord) -> Plan | None:
        """The plan of an earlier attempt, if it is complete: a runner of earlier code does not know
        that the text was to be written, and stores a plan whose song would have no words, nor that
        each take has its own codes."""
        plan = Plan.model_validate_json(record.plan) if record.plan else None
        if plan is None or self._spec.plan is None:
            return plan
        if self._spec.plan.writing and plan.text is None:
            return None
        return plan if has_codes_of_takes(plan, self._spec) else None

    async def _make_plan(self) -> Plan:
        request = plan_request(self._job_id, self._attempt, self._spec, self._settings)
        writes = request.writing is None
        async with aclosing(self._engines.plan(request)) as events:
            async for event in events:
                stage = "" if isinstance(event, Plan) else event.stage
                if not writes and stage != WAITING:
                    # During an upgrade the planner may be one of earlier code, which begins with
                    # the plan. A song from it would have no words.
                    writes = stage == "writing"
                    if not writes:
                        raise NoWorker("the planner that took it does not write texts")
                if isinstance(event, Plan):
                    if not has_codes_of_takes(event, self._spec):
                        # It is of earlier code, too. Each take's seed must decide its codes.
                        raise NoWorker("the planner that took it makes one plan for all takes")
                    await self._check(
                        SavePlan(
                            self._job_id,
                            self._attempt,
                            event.model_dump_json(),
                            seconds=event.elapsed,
                            work=decoder_work(self._spec, event.seconds),
                        )
                    )
                    self._progress(WAITING, 0, 1)
                    return event
                await self._note(event)
        raise WorkerLost("the plan's stream ended early")

    async def _decode(self, span: Span) -> None:
        """``span``: ends when the decoder has ended its work."""
        request = decode_request(
            self._job_id, self._attempt, self._spec, self._plan, self._settings
        )
        async with aclosing(self._engines.decode(request)) as events:
            async for event in events:
                if isinstance(event, Decoded):
                    span.end()
                    return await self._succeed(request, event)
                if isinstance(event, DecodeFailed):
                    span.set("acestep.error_code", event.code)
                    span.fail(event.code)
                    span.end()
                    return await self._fail(ErrorCode(event.code), event.detail)
                await self._note(event)
        # The decoder also ends its stream, without an event, when this attempt has lost the job.
        raise WorkerLost("the takes' stream ended early")

    async def _note(self, event: PlanProgress | DecodeProgress) -> None:
        """Report progress; the first progress of an engine makes the job ``running``.

        A worker that is lost while this job waits for its turn was working on another job, so only
        that job may be the cause.
        """
        self._in_line = event.stage == WAITING and event.step < event.total
        if event.stage != WAITING and self._started_at is None:
            if not await self._writer.write(Start(self._job_id, self._attempt)):
                raise _AttemptOver
            logger.info("The job runs.")
            self._started_at = time.time()
            self._patience.reschedule(None)  # from now on the store's sweep ends it
        if self._started_at is not None:
            self._progress(event.stage, event.step, event.total)

    def _progress(self, stage: str, step: int, total: int) -> None:
        # A stage that is not in the table (of a single engine) gets the end of the last stage.
        start, end = spans_of(self._spec.plan).get(stage, (self._fraction, self._fraction))
        self._fraction = max(self._fraction, start + (end - start) * (step / max(total, 1)))
        self._writer.progress(
            self._job_id,
            self._attempt,
            Progress(stage=stage, step=step, total=total, fraction=round(self._fraction, 4)),
        )

    async def _succeed(self, request: DecodeRequest, decoded: Decoded) -> None:
        now = time.time()
        started = self._started_at or now
        result = JobResult(
            takes=decoded.takes,
            plan=self._plan,
            generation_info=generation_info(
                request, self._plan, decoded, started - self._created_at, now - self._created_at
            ),
            duration=decoded.takes[0].samples / SAMPLE_RATE,
            warnings=decoded.warnings,
        )
        await self._check(
            Finish(
                self._job_id,
                self._attempt,
                result=result.model_dump_json(),
                device_seconds=decoded.device_seconds,
            )
        )
        with self._span("job", at=self._created_at) as span:
            span.set("acestep.status", Status.SUCCEEDED)
        logger.info("The job succeeded after %.2f s.", now - self._created_at)

    async def _release(self, lost: bool) -> None:
        most = self._settings.jobs.max_starts
        await self._write(Release(self._job_id, self._attempt, lost=lost, max_starts=most))

    async def _fail(self, code: ErrorCode, detail: str) -> None:
        await self._write(Finish(self._job_id, self._attempt, error=detail, error_code=code))
        logger.info("The job failed: %s.", code)

    async def _check(self, op: Direct[bool]) -> None:
        if not await self._write(op):
            raise _AttemptOver

    async def _write(self, op: Direct[bool]) -> bool:
        with self._span("store") as span:
            span.set("acestep.operation", type(op).__name__)
            return await self._writer.write(op)
