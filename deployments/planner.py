"""The planner deployment: a 5Hz LM engine behind a streaming handle."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acestep_ray.cards.needs import needs_of_planner
from acestep_ray.planner.engines import make_planner
from acestep_ray.planner.pairs import PlannerSpec
from acestep_ray.planner.protocol import Plan, PlanProgress, PlanRequest
from deployments.card import gpu_share, start
from deployments.presence import Presence
from deployments.store_client import StoreClient


class Planner:
    """Serves ``plan``. A replica that was built is ready: its engine is loaded."""

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
        async with aclosing(self._engine.plan(request)) as events:
            async for event in events:
                yield event

    async def __del__(self) -> None:
        if self._presence is not None:  # it is None where __init__ failed
            await self._presence.leave()
