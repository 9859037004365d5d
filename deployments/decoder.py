"""The decoder deployment: an engine on its device, behind a streaming handle."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acestep_ray.adapters.library import library_of
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.audio.aac import writable_formats
from acestep_ray.decoder.cores import encoders_for, usable_cores
from acestep_ray.decoder.engines import make_decoder
from acestep_ray.decoder.events import DecodeEvent
from acestep_ray.decoder.protocol import DecoderEngine, DecodeRequest
from acestep_ray.decoder.worker import DecodeWorker
from acestep_ray.jobs.store.operations import IsOwner
from acestep_ray.replicas.decoders import DecoderSpec, decoders_of
from acestep_ray.replicas.gpu_memory import needs_of_decoder
from acestep_ray.settings import Settings
from acestep_ray.settings.scaling import Stage
from acestep_ray.tracing.stages import engine_work
from acestep_ray.tracing.tracer import NO_TRACER, Tracer
from acestep_ray.work_context import WorkContext
from deployments.device_watch import watch_device
from deployments.job_store_client import RayJobStoreClient
from deployments.process import begin_process
from deployments.ray_meter import meter_of
from deployments.replica import ReplicaRegistrar, gpu_turn, gpus_of_this_node, start
from deployments.routing import ADAPTERS, SLOTS
from deployments.startup_checks import until_storage_ready

STORAGE_PATIENCE = 120.0
"""Longest wait for unavailable storage, seconds: making the takes again would cost more."""


class Decoder:
    """Serves ``decode``. When a replica is built, it is ready: its engine is loaded, and the
    storage responds.

    Before that it is not registered, and jobs wait in the queue.
    """

    _registrar: ReplicaRegistrar | None = None
    _tracer: Tracer = NO_TRACER

    async def __init__(self, spec: DecoderSpec) -> None:  # type: ignore[misc]  # Serve awaits it
        settings = spec.settings
        self._tracer = begin_process(settings, spec.name)
        await until_storage_ready(settings)
        turn = gpu_turn(settings, settings.dit.device)
        engine = start(
            spec.name,
            needs_of_decoder(settings),
            lambda: make_decoder(settings, turn),
            whole=settings.scaling.gpu_turns,
        )
        self._serve(spec, engine, Artifacts(settings.artifacts_url, STORAGE_PATIENCE))

    def _serve(self, spec: DecoderSpec, engine: DecoderEngine, artifacts: Artifacts) -> None:
        """Serve ``engine``, and register this replica."""
        settings = spec.settings
        self._engine = engine
        meter = meter_of(settings)
        replicas = _replicas_of_node(settings)
        encoders = encoders_for(settings.dit.encoders, usable_cores(), replicas)
        adapters = library_of(settings, STORAGE_PATIENCE)
        self._worker = DecodeWorker(engine, artifacts, encoders, meter, adapters)
        self._device_watch = watch_device(meter, "decoder", self._worker.busy)
        self._client = RayJobStoreClient(settings)
        described = {"audio_formats": writable_formats(), "adapter_names": spec.adapters}
        description = engine.describe().model_copy(update=described)
        in_hand = self._worker.in_hand
        self._registrar = ReplicaRegistrar(self._client, description, wanted=lambda: in_hand.number)
        in_hand.on_change = self._registrar.announce

    async def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See DecodeWorker.decode."""
        # A runner of earlier code does not send parameters that were added since: the defaults.
        request = DecodeRequest.model_construct(**dict(request))

        async def owns() -> bool:
            return await self._client.apply(IsOwner(request.job_id, request.attempt))

        work = engine_work(
            self._tracer,
            "decoder",
            self._worker.decode(request, owns),
            WorkContext(request.request_id, request.job_id, request.attempt, request.trace),
            first="reading",
            attributes={
                "acestep.task": request.task,
                "acestep.takes": len(request.seeds),
                "acestep.audio_seconds": request.seconds,
            },
        )
        async with aclosing(work) as events:
            async for event in events:
                yield event

    def record_routing_stats(self) -> dict[str, object]:
        """For Serve's routers: see IdleFirst."""
        assert self._registrar is not None
        return {SLOTS: self._registrar.slots(), ADAPTERS: sorted(self._engine.loaded_adapters())}

    def check_health(self) -> None:
        """Raise if the engine hangs; Serve then replaces the replica."""
        self._worker.check()

    async def __del__(self) -> None:
        if self._registrar is not None:  # None if __init__ failed
            await self._registrar.leave()
        self._tracer.close()


def _replicas_of_node(settings: Settings) -> int:
    """The most decoder replicas that may share the cores of this node, of all its decoders."""
    gpus = gpus_of_this_node()
    stages = [spec.stage for spec in decoders_of(settings)]
    most = sum(_most_of(stage, gpus) for stage in stages)
    shares = [stage.num_gpus for stage in stages]
    if gpus and all(shares):
        most = min(most, max(1, int(gpus / min(filter(None, shares)))))
    return most


def _most_of(stage: Stage, gpus: int) -> int:
    most = stage.max_replicas or None
    if stage.num_gpus and gpus:
        by_gpus = max(1, int(gpus / stage.num_gpus))
        return min(by_gpus, most) if most else by_gpus
    return most or 1
