"""What an error of Ray's or Serve's means for the job that was at an engine.

A lost worker counts against the job, whatever Ray calls the loss; if no worker took the job,
nothing counts. Each of Ray's names for a lost worker once made a job fail as ``internal``.
"""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ray import exceptions
from ray.exceptions import RayTaskError
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from acestep_ray.jobs.runner.workflow import NoWorker, WorkerLost
from acestep_ray.planner.protocol import (
    EngineDied,
    EngineGone,
    PlannerError,
    PlanRequest,
)
from deployments.engine_stream import stream_events
from deployments.planner import Planner


class Stream:
    """A streaming response that ends with an error after its first event."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.cancelled = False

    def remote(self, request: object) -> "Stream":
        return self

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "event"
        raise self._error

    def cancel(self) -> None:
        self.cancelled = True


async def read(stream: Stream) -> None:
    async for event in stream_events(cast("DeploymentHandle[Any]", stream), "request"):
        assert event == "event"


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("decode", "traceback", cause)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ActorDiedError(),
        exceptions.ActorUnavailableError("the network is down", None),
        exceptions.OutOfMemoryError("Memory was low."),  # type: ignore[no-untyped-call]
        exceptions.WorkerCrashedError(),
        exceptions.NodeDiedError("The node was drained."),  # type: ignore[no-untyped-call]
        exceptions.LocalRayletDiedError(),
        exceptions.ObjectLostError("00", None, ""),
        task_error(EngineDied("vLLM has ended.")),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_worker_that_is_gone_is_lost(error: Exception) -> None:
    with pytest.raises(WorkerLost):
        await read(Stream(error))


@pytest.mark.parametrize(
    "error",
    [
        DeploymentUnavailableError(DeploymentID("Decoder", "acestep")),
        BackPressureError(num_queued_requests=1, max_queued_requests=1),
        task_error(EngineGone("It is being replaced.")),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_where_no_replica_takes_the_work_none_is_lost(error: Exception) -> None:
    stream = Stream(error)
    with pytest.raises(NoWorker):
        await read(stream)
    assert stream.cancelled is not isinstance(error, RayTaskError)  # that call has ended


class DeadEngine:
    """Like vLLM's engine after its process was killed."""

    async def check(self) -> None:
        raise EngineDied("It has died.")


async def test_a_plan_that_comes_after_the_engine_died_did_not_begin() -> None:
    """Serve replaces the replica only after some seconds, and the plan comes several times."""
    replica = cast("Planner", SimpleNamespace(_engine=DeadEngine()))
    with pytest.raises(EngineGone):
        await anext(Planner.plan(replica, cast("PlanRequest", None)))


async def test_what_the_engine_says_is_passed_on() -> None:
    with pytest.raises(PlannerError, match="It cannot be planned"):
        await read(Stream(task_error(PlannerError("It cannot be planned."))))
    with pytest.raises(RayTaskError):
        await read(Stream(task_error(ZeroDivisionError("a mistake of ours"))))
