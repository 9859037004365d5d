"""Streaming calls of the engines' deployments, with errors that the library knows."""

from collections.abc import AsyncGenerator
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from acestep_ray.jobs.runner.workflow import NoWorker, WorkerLost
from acestep_ray.planner.protocol import EngineDied, EngineGone, PlannerError


async def stream_events(handle: DeploymentHandle[Any], request: Any) -> AsyncGenerator[Any, None]:
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
