"""The planner deployment: a 5Hz LM engine behind a streaming handle."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acestep_ray.planner.engines import make_planner
from acestep_ray.planner.protocol import Plan, PlanProgress, PlanRequest
from acestep_ray.settings import Settings
from deployments.presence import Presence
from deployments.store_client import StoreClient


class Planner:
    """Serves ``plan``. A replica that was built is ready: its engine is loaded."""

    _presence: Presence | None = None

    def __init__(self, settings: Settings) -> None:
        self._engine = make_planner(settings)
        self._presence = Presence(StoreClient(settings), self._engine.describe())

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See PlannerEngine.plan."""
        async with aclosing(self._engine.plan(request)) as events:
            async for event in events:
                yield event

    async def __del__(self) -> None:
        if self._presence is not None:  # it is None where __init__ failed
            await self._presence.leave()
