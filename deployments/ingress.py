"""The ingress deployment: the HTTP API in front of the job store actor."""

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from acestep_ray.api.app import create_app
from acestep_ray.api.store_service import JobStoreService
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.replicas.planners import planners_of
from acestep_ray.settings import Settings
from deployments.job_store_client import RayJobStoreClient
from deployments.serve_status import ServeStatus
from deployments.startup_checks import storage_ready, store_ready


@serve.ingress()
class Ingress:
    """Parses, checks and queues requests, and responds to polls. Holds no jobs itself.

    The runner's handle is never called. It is an argument so that the application contains the
    runner.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: Settings, runner: DeploymentHandle[Any]
    ) -> None:
        await store_ready(settings)  # if it is unavailable, requests wait for it
        await storage_ready(settings)  # if it is unavailable, jobs can be polled nevertheless
        self._settings = settings
        self._runner = runner

    def __serve_build_asgi_app__(self) -> FastAPI:
        client = RayJobStoreClient(self._settings)
        artifacts = Artifacts(self._settings.artifacts_url)
        return create_app(
            self._settings,
            JobStoreService(client, planners_of(self._settings), ServeStatus()),
            artifacts,
        )
