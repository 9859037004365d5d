"""The planner deployment: a 5Hz LM engine behind a streaming handle."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import ray

from acestep_ray.planner.engines import make_planner
from acestep_ray.planner.pairs import PlannerSpec
from acestep_ray.planner.protocol import Plan, PlanProgress, PlanRequest
from deployments.presence import Presence
from deployments.store_client import StoreClient


def gpu_share() -> float:
    """The part of a card that this replica was given; 1 where it has whole ones, or none."""
    context: Any = ray.get_runtime_context()
    return min(float(context.get_assigned_resources().get("GPU", 1.0)), 1.0)


class Planner:
    """Serves ``plan``. A replica that was built is ready: its engine is loaded."""

    _presence: Presence | None = None

    def __init__(self, spec: PlannerSpec) -> None:
        self._engine = make_planner(spec.settings, gpu_share())
        description = self._engine.describe().model_copy(update={"deployment": spec.name})
        self._presence = Presence(StoreClient(spec.settings), description)

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See PlannerEngine.plan."""
        async with aclosing(self._engine.plan(request)) as events:
            async for event in events:
                yield event

    async def __del__(self) -> None:
        if self._presence is not None:  # it is None where __init__ failed
            await self._presence.leave()
