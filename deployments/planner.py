"""The planner deployment: a 5Hz LM engine behind a streaming handle."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acestep_ray.cards.needs import needs_of_planner
from acestep_ray.planner.engines import make_planner
from acestep_ray.planner.pairs import PlannerSpec
from acestep_ray.planner.protocol import Plan, PlannerEngine, PlanProgress, PlanRequest
from deployments.card import gpu_share, start
from deployments.presence import Presence
from deployments.store_client import StoreClient


class Planner:
    """Serves ``plan``. A replica that was built and found healthy is ready: its engine is warm."""

    _engine: PlannerEngine | None = None
    _presence: Presence | None = None

    def __init__(self, spec: PlannerSpec) -> None:
        settings = spec.settings
        self._engine = start(
            spec.name, needs_of_planner(settings), lambda: make_planner(settings, gpu_share())
        )
        description = self._engine.describe().model_copy(update={"deployment": spec.name})
        self._presence = Presence(StoreClient(settings), description)

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See PlannerEngine.plan."""
        assert self._engine is not None
        async with aclosing(self._engine.plan(request)) as events:
            async for event in events:
                yield event

    async def check_health(self) -> None:
        """Raise when the engine can plan no more; Serve then replaces the replica."""
        assert self._engine is not None
        await self._engine.check()

    async def __del__(self) -> None:
        # Both are None where __init__ failed. Serve has waited for the plans that are under way.
        if self._presence is not None:
            await self._presence.leave()
        if self._engine is not None:
            await self._engine.close()
