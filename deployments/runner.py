"""The runner deployment: leases jobs and drives planner and decoder through their handles."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from acestep_ray.audio.artifacts import Artifacts
from acestep_ray.decoder.events import DecodeEvent
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.runner import Runner as JobRunner
from acestep_ray.jobs.workflow import NoWorker, WorkerLost
from acestep_ray.planner.pairs import planner_for, planners_of
from acestep_ray.planner.protocol import EngineDied, Plan, PlannerError, PlanProgress, PlanRequest
from acestep_ray.settings import Settings
from deployments.cluster import cluster_id
from deployments.store_client import StoreClient


class HandleEngines:
    """Planners and decoder as the workflow sees them: Ray's errors become WorkerLost, Serve's that
    there is no replica NoWorker."""

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
        """See Engines.plan. Raises PlannerError where its planner is no longer deployed."""
        return _stream(self._planners[planner_for(request, self._specs)], request)

    def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See Engines.decode."""
        return _stream(self._decoder, request)


async def _stream(handle: DeploymentHandle[Any], request: Any) -> AsyncGenerator[Any, None]:
    """The events of a streaming call; leaving early cancels it at the replica."""
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
        if isinstance(error.cause, EngineDied):
            raise WorkerLost(str(error.cause)) from error
        raise
    except RayError as error:
        # By whichever name Ray calls it: an actor that died, one that its memory monitor killed, a
        # node that is gone.
        raise WorkerLost(_first_line(error)) from error
    finally:
        if not ended:
            response.cancel()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


class Runner:
    """A replica that is called by nobody: it works from its first moment to its last."""

    _runner: JobRunner | None = None

    def __init__(
        self,
        settings: Settings,
        planners: Mapping[str, DeploymentHandle[Any]],
        decoder: DeploymentHandle[Any],
    ) -> None:
        self._runner = JobRunner(
            StoreClient(settings),
            HandleEngines(settings, planners, decoder),
            Artifacts(settings.artifacts_url),
            settings,
            cluster_id(),
        )
        self._runner.start()

    def check_health(self) -> None:
        """Raise when the runner no longer leases; Serve then replaces the replica."""
        assert self._runner is not None
        self._runner.check()

    async def __del__(self) -> None:
        if self._runner is not None:  # it is None where __init__ failed
            await self._runner.drain()
