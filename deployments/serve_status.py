"""What Serve's controller reports about deployments; while it does not reply, its last report."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from ray import serve
from ray.serve._private.common import DeploymentStatus, ReplicaState
from ray.serve.schema import DeploymentStatusOverview

from acestep_ray.shared_work import start_task
from deployments.names import APP

logger = logging.getLogger(__name__)

SCALING = (DeploymentStatus.UPSCALING, DeploymentStatus.DOWNSCALING)
LEAVING = {ReplicaState.STOPPING}
PATIENCE = 2.0
"""Longest wait for a reply, in seconds. A cluster without a head has no controller."""


def _ask() -> Mapping[str, DeploymentStatusOverview]:
    app = serve.status().applications.get(APP)
    return app.deployments if app else {}


class ServeStatus:
    """Sends only one request at a time, even if the reply takes long."""

    def __init__(self, ask: Callable[[], Mapping[str, DeploymentStatusOverview]] = _ask) -> None:
        self._ask = ask
        self._asked: asyncio.Task[Mapping[str, DeploymentStatusOverview]] | None = None
        self._known: Mapping[str, DeploymentStatusOverview] = {}

    async def look(self) -> None:
        """Ask the controller. Never raises: if it fails, the last report is kept."""
        if self._asked is None:
            self._asked = start_task(asyncio.to_thread(self._ask))
        done, _ = await asyncio.wait([self._asked], timeout=PATIENCE)
        if not done:
            return
        answered, self._asked = self._asked, None
        try:
            self._known = answered.result()
        except Exception as error:
            logger.warning("Serve's controller does not report what is deployed: %s", error)

    def starting(self) -> frozenset[str]:
        """Names of the deployments that are starting a replica."""
        return frozenset(
            name
            for name, overview in self._known.items()
            if overview.replica_states.get(ReplicaState.STARTING)
        )

    def idle(self) -> frozenset[str]:
        """Names of the deployments that Serve has scaled down, or is scaling up or down. If one has
        no replica, that is not a fault."""
        return frozenset(
            name
            for name, overview in self._known.items()
            if overview.status in SCALING
            or (
                overview.status is DeploymentStatus.HEALTHY
                and set(overview.replica_states) <= LEAVING
            )
        )
