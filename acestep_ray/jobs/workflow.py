"""One job from its lease to its end: plan, then decode, then finish."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from acestep_ray.decoder.events import Decoded, DecodeEvent, DecodeFailed, DecodeProgress
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.job import ErrorCode
from acestep_ray.jobs.result import JobResult, Progress
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.stages import PLANNED_SPANS, UNPLANNED_SPANS, WAITING
from acestep_ray.jobs.store.protocol import Finish, JobRecord, Op, Release, SavePlan, Start
from acestep_ray.jobs.summary import generation_info
from acestep_ray.jobs.work import decoder_work
from acestep_ray.planner.protocol import Plan, PlannerError, PlanProgress, PlanRequest
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)

UNSTARTED_PAUSE = 1.0
"""Seconds before a job goes back that would be leased again at once, to the same end."""
APART = 5.0
"""Most of such pauses after a second loss. Two jobs that were lost together come back apart, or the
one that is not to blame would be lost with the other each time."""


class WorkerLost(Exception):
    """The replica that had the work is gone; the job is not to blame, until it is each time."""


class NoWorker(Exception):
    """No replica took the work: none can at the moment. The job has to wait."""


class Engines(Protocol):
    """How the workflow reaches planner and decoder. Both raise WorkerLost and NoWorker."""

    def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See PlannerEngine.plan."""
        ...

    def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See DecodeWorker.decode."""
        ...


class Ledger(Protocol):
    """The store, as the workflow writes to it."""

    async def tell(self, op: Op) -> bool:
        """Apply an operation and answer whether the attempt still has the job. Waits out a store
        that is away."""
        ...

    def progress(self, job_id: str, attempt: int, progress: Progress) -> None:
        """Note how far the job is; in memory, never waits."""
        ...


class _NotOurs(Exception):
    """The attempt has lost its job: stop, and write nothing more."""


class Workflow:
    """Runs one leased job to its end. Cancelling ``run`` stops its engine."""

    def __init__(
        self, record: JobRecord, engines: Engines, ledger: Ledger, settings: Settings
    ) -> None:
        self._job_id = record.job_id
        self._attempt = record.attempt
        self._starts = record.starts
        self._created_at = record.created_at
        self._spec = JobSpec.model_validate_json(record.spec)
        self._plan = Plan.model_validate_json(record.plan) if record.plan else None
        self._engines = engines
        self._ledger = ledger
        self._settings = settings
        self._started_at: float | None = None
        self._in_line = False  # for the device, behind the job that its worker is at
        self._fraction = 0.0

    async def run(self) -> None:
        """Plan, decode, finish. A lost worker gives the job back; everything else ends it."""
        try:
            async with asyncio.timeout(self._settings.jobs.timeout) as self._patience:
                if self._spec.lm and not self._plan:
                    self._plan = await self._make_plan()
                await self._decode()
        except TimeoutError:
            limit = self._settings.jobs.timeout
            await self._fail(
                ErrorCode.TIMEOUT, f"No engine began the job within {limit:g} seconds."
            )
        except _NotOurs:
            logger.info("Job %s: attempt %d is over.", self._job_id, self._attempt)
        except NoWorker as away:
            logger.warning("Job %s has no worker yet: %s", self._job_id, away)
            await asyncio.sleep(UNSTARTED_PAUSE)
            await self._release(lost=False)
        except WorkerLost as lost:
            logger.warning("Job %s lost its worker: %s", self._job_id, lost)
            if self._started_at is None:
                pauses = random.uniform(1.0, APART) if self._starts else 1.0
                await asyncio.sleep(UNSTARTED_PAUSE * pauses)
            await self._release(lost=not self._in_line)
        except PlannerError as error:
            await self._fail(ErrorCode.PLANNER_FAILED, str(error))
        except Exception:
            logger.exception("Job %s failed", self._job_id)
            await self._fail(
                ErrorCode.INTERNAL, "The job failed unexpectedly; the server's log tells more."
            )

    async def _make_plan(self) -> Plan:
        request = plan_request(self._job_id, self._attempt, self._spec, self._settings)
        async with aclosing(self._engines.plan(request)) as events:
            async for event in events:
                if isinstance(event, Plan):
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

    async def _decode(self) -> None:
        request = decode_request(
            self._job_id, self._attempt, self._spec, self._plan, self._settings
        )
        async with aclosing(self._engines.decode(request)) as events:
            async for event in events:
                if isinstance(event, Decoded):
                    return await self._succeed(request, event)
                if isinstance(event, DecodeFailed):
                    return await self._fail(ErrorCode(event.code), event.detail)
                await self._note(event)
        # The decoder stops without a word when the fence told it that the job is another's.
        raise WorkerLost("the takes' stream ended early")

    async def _note(self, event: PlanProgress | DecodeProgress) -> None:
        """Note progress; the first of an engine's work makes the job ``running``.

        A worker that is lost while the job waits its turn there was at another one, and only that
        may be to blame.
        """
        self._in_line = event.stage == WAITING and event.step < event.total
        if event.stage != WAITING and self._started_at is None:
            await self._check(Start(self._job_id, self._attempt))
            self._started_at = time.time()
            self._patience.reschedule(None)  # from here on the store's clock runs
        if self._started_at is not None:
            self._progress(event.stage, event.step, event.total)

    def _progress(self, stage: str, step: int, total: int) -> None:
        spans = PLANNED_SPANS if self._spec.lm else UNPLANNED_SPANS
        # A stage that the table does not know (an engine's own) stands where the last one ended.
        start, end = spans.get(stage, (self._fraction, self._fraction))
        self._fraction = max(self._fraction, start + (end - start) * (step / max(total, 1)))
        self._ledger.progress(
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
            duration=decoded.takes[0].samples / 48_000,
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

    async def _release(self, lost: bool) -> None:
        most = self._settings.jobs.max_starts
        await self._ledger.tell(Release(self._job_id, self._attempt, lost=lost, max_starts=most))

    async def _fail(self, code: ErrorCode, detail: str) -> None:
        await self._ledger.tell(Finish(self._job_id, self._attempt, error=detail, error_code=code))

    async def _check(self, op: Op) -> None:
        if not await self._ledger.tell(op):
            raise _NotOurs


def plan_request(job_id: str, attempt: int, spec: JobSpec, settings: Settings) -> PlanRequest:
    """What the planner is asked. The seed is the first take's."""
    assert spec.lm is not None
    lm = spec.lm
    return PlanRequest(
        job_id=job_id,
        attempt=attempt,
        caption=spec.caption,
        lyrics=spec.lyrics,
        vocal_language=spec.vocal_language,
        bpm=spec.bpm,
        key_scale=spec.key_scale,
        time_signature=spec.time_signature,
        duration=spec.duration,
        infer_type=lm.infer_type,
        seed=spec.seeds[0],
        model=lm.model,
        planner=lm.planner,
        temperature=lm.temperature,
        cfg_scale=lm.cfg_scale,
        negative_prompt=lm.negative_prompt,
        use_cot_caption=spec.use_cot_caption,
        top_k=lm.top_k,
        top_p=lm.top_p,
        repetition_penalty=lm.repetition_penalty,
        max_duration=settings.limits.duration,
    )


def decode_request(
    job_id: str, attempt: int, spec: JobSpec, plan: Plan | None, settings: Settings
) -> DecodeRequest:
    """What the decoder is asked: the user's values first, then the plan's, then the defaults."""
    metadata = plan.metadata if plan else None
    caption = spec.caption
    if spec.use_cot_caption and metadata and metadata.caption:
        caption = metadata.caption
    return DecodeRequest(
        job_id=job_id,
        attempt=attempt,
        task=spec.task,
        caption=caption,
        lyrics=spec.lyrics,
        vocal_language=spec.vocal_language,
        instruction=spec.instruction,
        bpm=spec.bpm if spec.bpm is not None or metadata is None else metadata.bpm,
        key_scale=spec.key_scale or (metadata.keyscale if metadata else ""),
        time_signature=spec.time_signature or (metadata.timesignature if metadata else ""),
        seconds=spec.duration or (plan.seconds if plan else settings.defaults.duration),
        codes=(plan.codes,) if plan and plan.codes else spec.codes,
        seeds=spec.seeds,
        steps=spec.steps,
        guidance_scale=spec.guidance_scale,
        shift=spec.shift,
        cfg_interval=spec.cfg_interval,
        cover_strength=spec.cover_strength,
        repaint_start=spec.repaint_start,
        repaint_end=spec.repaint_end,
        track_name=spec.track_name,
        track_classes=spec.track_classes,
        use_tiled_decode=spec.use_tiled_decode,
        source=spec.source,
        reference=spec.reference,
        audio_format=spec.audio_format,
        model=spec.model,
    )
