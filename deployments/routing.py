"""Which replica gets a job: an idle one, if there is one.

Serve's own way looks at two replicas by chance. A runner leases as many jobs as all replicas hold,
so the last of them finds the one free place among dozens by luck, a try every half second, while a
decoder stands idle.
"""

import random

from ray.serve.config import RequestRouterConfig
from ray.serve.request_router import FIFOMixin, PendingRequest, RequestRouter, RunningReplica

FULL_ASKED = 2
"""Of replicas that are all thought to be full, so many are asked at a try, as Serve does it."""


class IdleFirst(FIFOMixin, RequestRouter):
    """Goes by the counts of requests that Serve keeps, and forgets where it hears nothing."""

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Replicas to be tried, group by group: the idle, those not known of, and those that have
        room. Serve takes of a group the one with the fewest requests."""
        if pending_request is not None:
            pending_request.routing_context.should_backoff = True  # a pause between two tries
        idle, unknown, with_room = [], [], []
        for replica in random.sample(candidate_replicas, len(candidate_replicas)):
            count = self.replica_queue_len_cache.get(replica.replica_id)
            if count is None:
                unknown.append(replica)
            elif count == 0:
                idle.append(replica)
            elif count < replica.max_ongoing_requests:
                with_room.append(replica)
        groups = [group for group in (idle, unknown, with_room) if group]
        few = min(FULL_ASKED, len(candidate_replicas))
        return groups or [random.sample(candidate_replicas, few)]


ROUTING = RequestRouterConfig.model_validate(
    {"request_router_class": "deployments.routing:IdleFirst", "max_backoff_s": 0.1}
)
"""For each engine deployment."""
