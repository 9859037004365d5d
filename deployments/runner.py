"""The runner deployment: leases jobs and drives planner and decoder through their handles."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ray.serve.handle import DeploymentHandle

from acestep_ray.api.routes.job_view import job_view
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import DecodeEvent
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.runner.runner import Runner as JobRunner
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.planner.protocol import Plan, PlanProgress, PlanRequest
from acestep_ray.replicas.decoders import decoder_for, decoders_of
from acestep_ray.replicas.planners import planner_for, planners_of
from acestep_ray.settings import Settings
from acestep_ray.tracing.tracer import NO_TRACER, Tracer
from acestep_ray.webhooks.sender import Sender
from deployments.engine_stream import stream_events
from deployments.job_store_client import RayJobStoreClient
from deployments.names import RUNNER
from deployments.process import begin_process
from deployments.ray_meter import meter_of
from deployments.replica import cluster_id


class HandleEngines:
    """The workflow's Engines over Serve's handles. Ray's errors become WorkerLost; Serve's error
    that no replica is available becomes NoWorker."""

    def __init__(
        self,
        settings: Settings,
        planners: Mapping[str, DeploymentHandle[Any]],
        decoders: Mapping[str, DeploymentHandle[Any]],
    ) -> None:
        self._planner_specs = planners_of(settings)
        self._decoder_specs = decoders_of(settings)
        self._planners = {
            name: handle.options(method_name="plan", stream=True)
            for name, handle in planners.items()
        }
        self._decoders = {
            name: handle.options(method_name="decode", stream=True)
            for name, handle in decoders.items()
        }

    def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See Engines.plan. Raises PlannerError if no deployed planner serves its model."""
        return stream_events(self._planners[planner_for(request, self._planner_specs)], request)

    def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See Engines.decode. Raises DecoderError if no deployed decoder serves its model."""
        return stream_events(self._decoders[decoder_for(request, self._decoder_specs)], request)


class Runner:
    """Leases and runs jobs, and sends the messages of webhooks, as long as it lives. No other
    deployment calls it."""

    _tracer: Tracer = NO_TRACER
    _runner: JobRunner | None = None
    _sender: Sender | None = None

    def __init__(
        self,
        settings: Settings,
        planners: Mapping[str, DeploymentHandle[Any]],
        decoders: Mapping[str, DeploymentHandle[Any]],
    ) -> None:
        self._tracer = begin_process(settings, RUNNER)
        client = RayJobStoreClient(settings)

        def job_data(snapshot: Snapshot) -> dict[str, Any]:
            return job_view(snapshot, settings).model_dump(mode="json")

        self._sender = Sender(client, job_data, settings.webhooks, meter_of(settings))
        self._sender.start()
        self._runner = JobRunner(
            client,
            HandleEngines(settings, planners, decoders),
            Artifacts(settings.artifacts_url),
            settings,
            cluster_id(),
            tracer=self._tracer,
        )
        self._runner.start()

    def check_health(self) -> None:
        """Raise if the runner no longer leases or sends; Serve then replaces the replica."""
        assert self._runner is not None and self._sender is not None
        self._runner.check()
        self._sender.check()

    async def __del__(self) -> None:
        if self._runner is not None:  # None if __init__ failed
            await self._runner.drain()
        if self._sender is not None:  # last: it also sends the ends of the last jobs
            await self._sender.drain()
        self._tracer.close()
