"""Probes, and what is deployed."""

import asyncio
import logging

from fastapi import APIRouter, Response

from acestep_ray import __version__
from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.request.field_values import TRACKS
from acestep_ray.api.service_views import (
    CapacityView,
    DecoderView,
    DefaultsView,
    HealthView,
    LimitsView,
    ModelsView,
    PlannerView,
    ReadyView,
    StatsView,
)
from acestep_ray.api.upstream.inventory import (
    NOT_DONE,
    decoder_models,
    inventory,
    openrouter_models,
)
from acestep_ray.api.upstream.views import HealthData, JobCountsView, StatsData
from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.planner.metadata import LANGUAGES
from acestep_ray.replicas.decoders import decoders_of
from acestep_ray.replicas.deployed import Deployed
from acestep_ray.replicas.planners import planners_of

logger = logging.getLogger(__name__)

router = APIRouter(tags=["service"])

_HEALTH_SECONDS = 0.5
"""How long GET /health waits for what is deployed, in seconds. It must respond even if everything
else is down."""
_SERVICE = "acestep-ray"


@router.get("/health", operation_id="health", summary="Is the process alive?")
async def health(response: Response, context: ContextDep) -> HealthView:
    """200 while the process answers, whatever else is down. Needs no API key."""
    response.headers["Cache-Control"] = "no-store"
    settings = context.settings
    planners = dict.fromkeys(spec.settings.planner for spec in planners_of(settings))
    decoders = dict.fromkeys(spec.settings.decoder for spec in decoders_of(settings))
    return HealthView(
        status="ok",
        service=_SERVICE,
        version=__version__,
        mock="mock" in (*planners, *decoders),
        planner=", ".join(planners),
        decoder=", ".join(decoders),
        data=await _health_data(context),
    )


async def _health_data(context: AppContext) -> HealthData:
    """What is deployed, as upstream's clients read it; nothing if the job store is unavailable."""
    try:
        async with asyncio.timeout(_HEALTH_SECONDS):
            deployed = await context.service.deployed()
    except Exception as error:  # whatever is down: the process itself is alive
        logger.debug("What is deployed is not known: %s", error)
        deployed = Deployed((), (), ready=False)
    there = inventory(deployed)
    return HealthData(
        status="ok",
        service=_SERVICE,
        version=__version__,
        models_initialized=bool(there.models),
        llm_initialized=there.llm_initialized,
        loaded_model=there.default_model,
        loaded_lm_model=there.loaded_lm_model,
        gpus=there.gpus,
        gpu_mapping=there.gpu_mapping,
        device_map=there.device_map,
    )


@router.get("/ready", operation_id="ready", summary="Are the engines up?")
async def ready(response: Response, context: ContextDep) -> ReadyView:
    """200 once planner and decoder are up; 503 with reasons until then. Needs no API key."""
    deployed = await context.service.deployed()
    if not deployed.ready:
        reasons = list(deployed.reasons)
        raise Problem(
            ProblemCode.NOT_READY,
            " ".join(reasons) or "The engines are not up yet.",
            headers={"Retry-After": "2"},
            extra={"ready": False, "reasons": reasons},
        )
    response.headers["Cache-Control"] = "no-store"
    return ReadyView(status="ready", ready=True, reasons=[])


@router.get("/v1/models", operation_id="models", summary="What is deployed?")
async def models(context: ContextDep) -> ModelsView:
    """Decoders and LM checkpoints, with what each supports and ignores, and the limits."""
    deployed = await context.service.deployed()
    decoders = decoder_models(deployed)
    checkpoints = [(name, planner) for planner in deployed.planners for name in planner.models]
    limits, defaults = context.settings.limits, context.settings.defaults
    return ModelsView(
        decoders=[
            DecoderView(
                name=decoder.model,
                default=index == 0,
                engine=decoder.engine,
                mock=decoder.mock,
                turbo=decoder.turbo,
                recommended_steps=decoder.recommended_steps,
                recommended_shift=decoder.recommended_shift,
                xl=decoder.xl,
                lego_sft=decoder.lego_sft,
                lrc=decoder.lrc,
                scores=decoder.scores,
                device=decoder.device,
                state=deployed.state(decoder),
                tasks=list(decoder.tasks),
                ignores=_ignores(decoder),
            )
            for index, decoder in enumerate(decoders)
        ],
        planners=[
            PlannerView(
                name=name,
                default=index == 0,
                engine=planner.engine,
                mock=planner.mock,
                state=deployed.state(planner),
            )
            for index, (name, planner) in enumerate(checkpoints)
        ],
        audio_formats=list(deployed.audio_formats()),
        languages=list(LANGUAGES),
        tracks=list(TRACKS),
        limits=LimitsView(**limits.model_dump()),
        defaults=DefaultsView(
            duration=defaults.duration, batch_size=min(defaults.batch_size, limits.batch_size)
        ),
        data=openrouter_models(deployed),
        upstream_fields_not_done=list(NOT_DONE),
    )


@router.get("/v1/stats", operation_id="stats", summary="Counts and figures")
async def stats(response: Response, context: ContextDep) -> StatsView:
    """Jobs by status, how long one takes, and how many can run."""
    figures = await context.service.stats()
    store, capacity = figures.store, figures.capacity
    response.headers["Cache-Control"] = "no-store"
    return StatsView(
        queued=store.queued,
        queued_for_plan=store.queued_for_plan,
        running=store.running,
        succeeded=store.succeeded,
        failed=store.failed,
        avg_job_seconds=figures.job_seconds,
        work_per_second=figures.work_per_second,
        plan_seconds=figures.plan_seconds,
        queue_maxsize=context.settings.limits.queue,
        capacity=CapacityView(
            planners=capacity.planners,
            decoders=capacity.decoders,
            plan_slots=capacity.plan_slots,
            decode_slots=capacity.decode_slots,
        ),
        data=StatsData(
            jobs=JobCountsView(
                total=store.queued + store.running + store.succeeded + store.failed,
                queued=store.queued,
                running=store.running,
                succeeded=store.succeeded,
                failed=store.failed,
            ),
            queue_size=store.queued,
            queue_maxsize=context.settings.limits.queue,
            avg_job_seconds=figures.job_seconds,
        ),
    )


def _ignores(decoder: DecoderDescription) -> list[str]:
    """Fields that have no effect with this decoder."""
    turbo = ["guidance_scale", "cfg_interval_start", "cfg_interval_end", "use_adg"]
    turbo.append("guidance_variant")
    return turbo if decoder.turbo else []
