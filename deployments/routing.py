"""Which replica gets a job: of all, one with the fewest in hand.

Serve's own way looks at two replicas by chance. A runner leases as many jobs as all replicas hold,
so the last of them finds the one free place among dozens by luck, a try every half second, while a
decoder stands idle.
"""

import random

from ray.serve.config import RequestRouterConfig
from ray.serve.request_router import FIFOMixin, PendingRequest, RequestRouter, RunningReplica


class FewestInHand(FIFOMixin, RequestRouter):
    """Serve takes, of what is offered here, the replica with the fewest requests; it knows how many
    each has, and asks those that seem full."""

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """All of them, in an order by chance: the first of equals is taken."""
        return [random.sample(candidate_replicas, len(candidate_replicas))]


ROUTING = RequestRouterConfig.model_validate(
    {"request_router_class": "deployments.routing:FewestInHand"}
)
"""For each engine deployment."""
