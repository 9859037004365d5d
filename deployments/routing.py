"""Which replica gets a job: an idle one, if there is one.

Serve's own router tries two random replicas. A runner leases as many jobs as all replicas can hold.
So with dozens of replicas, the last job would need many tries, one every half second, to find the
one free slot, while a decoder is idle.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

from ray.serve._private.common import RunningReplicaInfo
from ray.serve.config import RequestRouterConfig
from ray.serve.request_router import FIFOMixin, PendingRequest, RequestRouter, RunningReplica

FULL_ASKED = 2
"""If all replicas seem to be full, this many are tried at a time, as in Serve's own router."""


SLOTS = "slots"
"""Among a replica's routing statistics: how many jobs it should have at a time. Without it, as many
as Serve allows."""


class IdleFirst(FIFOMixin, RequestRouter):
    """Uses the numbers of requests that Serve keeps per replica; old numbers expire.

    A replica may have a limit of its own (SLOTS in what its ``record_routing_stats`` returns),
    below ``max_ongoing_requests`` of its deployment.
    """

    def _update_running_replicas(self, running_replicas: list[RunningReplicaInfo]) -> None:
        """Called by Serve when something changes. Whatever Serve does with a replica, it uses the
        replica's own limit."""
        super()._update_running_replicas([_with_own_limit(info) for info in running_replicas])

    def initialize_state(self, **_: object) -> None:
        """Called by Serve, once."""
        self._choice = asyncio.Lock()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """All replicas, in one group; ``_select_from_candidate_replicas`` chooses one of them."""
        if pending_request is not None:
            pending_request.routing_context.should_backoff = True  # a pause between two tries
        return [candidate_replicas]

    async def _select_from_candidate_replicas(
        self, candidates: list[RunningReplica], backoff_index: int
    ) -> RunningReplica | None:
        """The replica for one request; None if none has room.

        Serve routes many requests at a time, and counts each only when it is sent: two simultaneous
        requests would get the same idle replica. So a replica is chosen for one request after the
        other, and the request is counted at once. (When it has been sent it is counted twice, until
        the replica has accepted it: Serve then sets the number that the replica reports.)
        """
        async with self._choice:
            for group in self.groups(candidates):
                chosen = await super()._select_from_candidate_replicas(group, backoff_index)
                if chosen is not None:
                    self.on_send_request(chosen.replica_id)
                    return chosen
        return None

    def groups(self, replicas: Sequence[RunningReplica]) -> list[list[RunningReplica]]:
        """Replicas to try, in groups: idle ones, those with an unknown number of requests, and
        those with room. Serve takes the replica with the fewest requests of a group, and asks those
        whose number is unknown."""
        idle, unknown, with_room = [], [], []
        for replica in random.sample(replicas, len(replicas)):
            count = self.replica_queue_len_cache.get(replica.replica_id)
            if count is None:
                unknown.append(replica)
            elif count == 0:
                idle.append(replica)
            elif count < replica.max_ongoing_requests:
                with_room.append(replica)
        groups = [group for group in (idle, unknown, with_room) if group]
        few = min(FULL_ASKED, len(replicas))
        return groups or [random.sample(replicas, few)]


def _with_own_limit(info: RunningReplicaInfo) -> RunningReplicaInfo:
    most = info.max_ongoing_requests
    return replace(info, max_ongoing_requests=min(most, info.routing_stats.get(SLOTS, most)))


ROUTING = RequestRouterConfig.model_validate(
    {
        "request_router_class": "deployments.routing:IdleFirst",
        "max_backoff_s": 0.1,
        "request_routing_stats_period_s": 2,
    }
)
"""The router of every engine deployment."""
