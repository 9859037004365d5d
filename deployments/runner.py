"""The runner deployment: leases jobs and drives planner and decoder through their handles."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import DecodeEvent
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.runner.runner import Runner as JobRunner
from acestep_ray.jobs.runner.workflow import NoWorker, WorkerLost
from acestep_ray.planner.protocol import (
    EngineDied,
    EngineGone,
    Plan,
    PlannerError,
    PlanProgress,
    PlanRequest,
)
from acestep_ray.replicas.planners import planner_for, planners_of
from acestep_ray.settings import Settings
from deployments.job_store_client import RayJobStoreClient
from deployments.replica import cluster_id


class HandleEngines:
    """The workflow's Engines over Serve's handles. Ray's errors become WorkerLost; Serve's error
    that no replica is available becomes NoWorker."""

    def __init__(
        self,
        settings: Settings,
        planners: Mapping[str, DeploymentHandle[Any]],
        decoder: DeploymentHandle[Any],
    ) -> None:
        self._specs = planners_of(settings)
        self._planners = {
            name: handle.options(method_name="plan", stream=True)
            for name, handle in planners.items()
        }
        self._decoder = decoder.options(method_name="decode", stream=True)

    def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See Engines.plan. Raises PlannerError if no deployed planner serves its model."""
        return _stream(self._planners[planner_for(request, self._specs)], request)

    def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See Engines.decode."""
        return _stream(self._decoder, request)


async def _stream(handle: DeploymentHandle[Any], request: Any) -> AsyncGenerator[Any, None]:
    """The events of a streaming call. Closing it early cancels the call at the replica."""
    response: Any = handle.remote(request)
    ended = False
    try:
        async for event in response:
            yield event
        ended = True
    except (DeploymentUnavailableError, BackPressureError) as error:
        raise NoWorker(_first_line(error)) from error
    except RayTaskError as error:
        ended = True
        if isinstance(error.cause, PlannerError):
            raise error.cause from error
        if isinstance(error.cause, EngineGone):
            raise NoWorker(str(error.cause)) from error
        if isinstance(error.cause, EngineDied):
            raise WorkerLost(str(error.cause)) from error
        raise
    except RayError as error:
        # An actor that died, one that Ray's memory monitor killed, or a node that was lost.
        raise WorkerLost(_first_line(error)) from error
    finally:
        if not ended:
            response.cancel()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


class Runner:
    """Leases and runs jobs as long as it lives. No other deployment calls it."""

    _runner: JobRunner | None = None

    def __init__(
        self,
        settings: Settings,
        planners: Mapping[str, DeploymentHandle[Any]],
        decoder: DeploymentHandle[Any],
    ) -> None:
        self._runner = JobRunner(
            RayJobStoreClient(settings),
            HandleEngines(settings, planners, decoder),
            Artifacts(settings.artifacts_url),
            settings,
            cluster_id(),
        )
        self._runner.start()

    def check_health(self) -> None:
        """Raise if the runner no longer leases; Serve then replaces the replica."""
        assert self._runner is not None
        self._runner.check()

    async def __del__(self) -> None:
        if self._runner is not None:  # None if __init__ failed
            await self._runner.drain()
