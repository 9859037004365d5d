"""What Serve's controller says of deployments; what it said last, while it does not answer."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from ray import serve
from ray.serve._private.common import DeploymentStatus, ReplicaState
from ray.serve.schema import DeploymentStatusOverview

from acestep_ray.shared_work import start_task
from deployments.names import APP

logger = logging.getLogger(__name__)

FOLLOWING = (DeploymentStatus.UPSCALING, DeploymentStatus.DOWNSCALING)
LEAVING = {ReplicaState.STOPPING}
PATIENCE = 2.0
"""Seconds that an answer is waited for. A cluster whose head is away has no controller."""


def _ask() -> Mapping[str, DeploymentStatusOverview]:
    app = serve.status().applications.get(APP)
    return app.deployments if app else {}


class ServeStatus:
    """Asks one question at a time, however long it stays without an answer."""

    def __init__(self, ask: Callable[[], Mapping[str, DeploymentStatusOverview]] = _ask) -> None:
        self._ask = ask
        self._asked: asyncio.Task[Mapping[str, DeploymentStatusOverview]] | None = None
        self._known: Mapping[str, DeploymentStatusOverview] = {}

    async def look(self) -> None:
        """Ask the controller. Raises nothing: what was known stays known."""
        if self._asked is None:
            self._asked = start_task(asyncio.to_thread(self._ask))
        done, _ = await asyncio.wait([self._asked], timeout=PATIENCE)
        if not done:
            return
        answered, self._asked = self._asked, None
        try:
            self._known = answered.result()
        except Exception as error:
            logger.warning("Serve's controller does not say what is deployed: %s", error)

    def starting(self) -> frozenset[str]:
        """Deployments that are about to have a replica."""
        return frozenset(
            name
            for name, told in self._known.items()
            if told.replica_states.get(ReplicaState.STARTING)
        )

    def resting(self) -> frozenset[str]:
        """Deployments that have no replica, if they have none, by Serve's will: there is no work
        for them, or they just follow it, up or down."""
        return frozenset(
            name
            for name, told in self._known.items()
            if told.status in FOLLOWING
            or (told.status is DeploymentStatus.HEALTHY and set(told.replica_states) <= LEAVING)
        )
