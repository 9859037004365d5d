"""The planner deployment: a 5Hz LM engine behind a streaming handle."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acestep_ray.planner.engines import GpuUse, make_planner
from acestep_ray.planner.plan_metrics import PlanMetrics
from acestep_ray.planner.plan_song import plan_song
from acestep_ray.planner.protocol import (
    EngineDied,
    EngineGone,
    Plan,
    PlannerEngine,
    PlanProgress,
    PlanRequest,
    SongText,
    WriteRequest,
)
from acestep_ray.replicas.gpu_memory import needs_of_planner
from acestep_ray.replicas.planners import PlannerSpec
from acestep_ray.tracing.stages import engine_work
from acestep_ray.tracing.tracer import NO_TRACER, Tracer
from acestep_ray.work_context import WorkContext
from deployments.device_watch import watch_device
from deployments.job_store_client import RayJobStoreClient
from deployments.process import begin_process
from deployments.ray_meter import meter_of
from deployments.replica import ReplicaRegistrar, gpu_share, gpu_turn, start


class Planner:
    """Serves ``plan`` and ``write``. Once built and healthy, a replica is ready: its engine is
    warm."""

    _engine: PlannerEngine | None = None
    _registrar: ReplicaRegistrar | None = None
    _tracer: Tracer = NO_TRACER

    def __init__(self, spec: PlannerSpec) -> None:
        settings = spec.settings
        self._tracer = begin_process(settings, spec.name)
        turn = gpu_turn(settings, settings.lm.device)
        self._engine = start(
            spec.name,
            needs_of_planner(settings),
            lambda: make_planner(settings, GpuUse(gpu_share(), turn)),
            whole=settings.scaling.gpu_turns,
        )
        meter = meter_of(settings)
        self._metrics = PlanMetrics(meter)
        self._device_watch = watch_device(meter, "planner", self._metrics.busy)
        description = self._engine.describe().model_copy(update={"deployment": spec.name})
        self._registrar = ReplicaRegistrar(
            RayJobStoreClient(settings), description, reserved=settings.limits.direct_calls
        )

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See plan_song. Raises EngineGone if the engine had died before: Serve needs a few seconds
        to replace this replica, and until then still sends it requests."""
        assert self._engine is not None
        await _check_alive(self._engine)
        # A runner of earlier code does not send parameters that were added since: the defaults.
        request = PlanRequest.model_construct(**dict(request))
        work = engine_work(
            self._tracer,
            "planner",
            self._metrics.measured(plan_song(self._engine, request)),
            WorkContext(request.request_id, request.job_id, request.attempt, request.trace),
            first="prompt",
            attributes={"acestep.text": request.writing.kind if request.writing else "none"},
        )
        async with aclosing(work) as events:
            async for event in events:
                yield event

    async def write(self, request: WriteRequest) -> AsyncGenerator[PlanProgress | SongText, None]:
        """See PlannerEngine.write. Raises EngineGone, as ``plan`` does."""
        assert self._engine is not None
        await _check_alive(self._engine)
        request = WriteRequest.model_construct(**dict(request))
        work = engine_work(
            self._tracer,
            "planner",
            self._metrics.measured(self._engine.write(request)),
            WorkContext(request.request_id, trace=request.trace),
            first="prompt",
            attributes={"acestep.text": request.kind},
        )
        async with aclosing(work) as events:
            async for event in events:
                yield event

    async def check_health(self) -> None:
        """Raise if the engine can no longer plan; Serve then replaces the replica."""
        assert self._engine is not None
        await self._engine.check()

    async def __del__(self) -> None:
        # Both are None if __init__ failed. Serve has waited for the plans under way.
        try:
            if self._registrar is not None:
                await self._registrar.leave()
        finally:
            if self._engine is not None:
                await self._engine.close()
            self._tracer.close()


async def _check_alive(engine: PlannerEngine) -> None:
    try:
        await engine.check()
    except EngineDied as error:
        raise EngineGone("The planner's engine is being replaced.") from error
