"""Which replica gets a job: an idle one, if there is one.

Serve's own router tries two random replicas. A runner leases as many jobs as all replicas hold, so
among dozens of replicas the last job would need many tries, one every half second, to find the one
free slot, while a decoder is idle.
"""

import random

from ray.serve.config import RequestRouterConfig
from ray.serve.request_router import FIFOMixin, PendingRequest, RequestRouter, RunningReplica

FULL_ASKED = 2
"""If all replicas seem to be full, this many are tried at a time, as Serve does it."""


class IdleFirst(FIFOMixin, RequestRouter):
    """Uses the numbers of requests that Serve keeps per replica; old numbers expire."""

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Replicas to try, in groups: idle ones, those with an unknown number of requests, and
        those with room. Serve takes the replica with the fewest requests of a group."""
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
"""The router of every engine deployment."""
