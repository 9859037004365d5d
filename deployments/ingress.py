"""The ingress deployment: the HTTP API in front of the job store actor."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from acestep_ray.api.app import create_app
from acestep_ray.api.store_service import JobStoreService
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.planner.protocol import PlanProgress, SongText, WriteRequest
from acestep_ray.settings import Settings
from acestep_ray.tracing.tracer import NO_TRACER, Tracer
from deployments.engine_stream import stream_events
from deployments.job_store_client import RayJobStoreClient
from deployments.names import INGRESS
from deployments.process import begin_process
from deployments.ray_meter import meter_of
from deployments.serve_status import ServeStatus
from deployments.startup_checks import storage_ready, store_ready


class HandleWriters:
    """SongWriters over Serve's handles."""

    def __init__(self, planners: Mapping[str, DeploymentHandle[Any]]) -> None:
        self._planners = {
            name: handle.options(method_name="write", stream=True)
            for name, handle in planners.items()
        }

    def write(
        self, planner: str, request: WriteRequest
    ) -> AsyncGenerator[PlanProgress | SongText, None]:
        """See SongWriters. A planner that is no longer deployed is replaced by the first one."""
        first = next(iter(self._planners.values()))
        return stream_events(self._planners.get(planner, first), request)


@serve.ingress()
class Ingress:
    """Parses, checks and queues requests, and responds to polls. Holds no jobs itself. It uses the
    planners only for requests that wait for a song's text.

    The runner's handle is never called. It is an argument so that the application contains the
    runner.
    """

    _tracer: Tracer = NO_TRACER

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        settings: Settings,
        runner: DeploymentHandle[Any],
        planners: Mapping[str, DeploymentHandle[Any]],
    ) -> None:
        self._tracer = begin_process(settings, INGRESS)
        await store_ready(settings)  # if it is unavailable, requests wait for it
        await storage_ready(settings)  # if it is unavailable, jobs can be polled nevertheless
        self._settings = settings
        self._runner = runner
        self._planners = planners

    def __serve_build_asgi_app__(self) -> FastAPI:
        client = RayJobStoreClient(self._settings)
        artifacts = Artifacts(self._settings.artifacts_url)
        meter = meter_of(self._settings)
        return create_app(
            self._settings,
            JobStoreService(client, self._settings, ServeStatus(), meter),
            artifacts,
            HandleWriters(self._planners),
            meter,
            tracer=self._tracer,
            id_is_returned=True,  # Serve does that
        )

    async def __del__(self) -> None:
        self._tracer.close()
