"""Which replica gets a job: an idle one, if there is one.

Serve's own router tries two random replicas. A runner leases as many jobs as all replicas can hold.
So with dozens of replicas, the last job would need many tries, one every half second, to find the
one free slot, while a decoder is idle.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace

from ray.serve._private.common import RequestMetadata, RunningReplicaInfo
from ray.serve.config import RequestRouterConfig
from ray.serve.request_router import PendingRequest, RequestRouter, RunningReplica

from acestep_ray.decoder.jobs_in_hand import FIRST
from acestep_ray.replicas.decoders import is_decoder

FULL_ASKED = 2
"""If all replicas seem to be full, this many are tried at a time, as in Serve's own router."""


SLOTS = "slots"
"""Among a replica's routing statistics: how many jobs it should have at a time. Without it, as many
as Serve allows."""
ADAPTERS = "adapters"
"""Also: names of the adapters that it has in memory."""
ADAPTER_PATIENCE = 1.0
"""Seconds after which a job gets a replica without its adapters that was found for a later job."""


class IdleFirst(RequestRouter):
    """Uses the numbers of requests that Serve keeps per replica; old numbers expire. A replica that
    has room is for the job that waits longest and that it suits: otherwise a job that comes at the
    moment when another one ends would always be before those that pause between two tries.

    A replica may have a limit of its own (SLOTS in what its ``record_routing_stats`` returns),
    below ``max_ongoing_requests`` of its deployment. A decoder that has not reported it yet is
    given FIRST jobs: otherwise the first ones that are known would get all jobs. A job with
    adapters goes to a replica that has them, if one is idle; else to any idle one, which takes less
    time than to wait; and if none is idle, to one that has them and has room. One that has waited
    for ADAPTER_PATIENCE suits any replica that can load them.
    """

    def _update_running_replicas(self, running_replicas: list[RunningReplicaInfo]) -> None:
        """Called by Serve when something changes. Whatever Serve does with a replica, it uses the
        replica's own limit."""
        first = FIRST if is_decoder(self._deployment_id.name) else None
        limited = [_with_own_limit(info, first) for info in running_replicas]
        super()._update_running_replicas(limited)

    def initialize_state(self, **_: object) -> None:
        """Called by Serve, once."""
        self._choice = asyncio.Lock()

    def _fulfill_next_pending_request(
        self, replica: RunningReplica, request_metadata: RequestMetadata | None = None
    ) -> None:
        """Called by Serve with a replica that was chosen for one of the requests."""
        for pending in self._pending_requests_to_fulfill:  # the oldest first
            waits = self._pending_requests_by_id.get(pending.metadata.internal_request_id)
            if waits is pending and not pending.future.done() and _suits(replica, pending):
                request_metadata = pending.metadata
                break
            if pending.metadata is request_metadata:
                break
        super()._fulfill_next_pending_request(replica, request_metadata)

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """Groups of replicas, the preferred first; ``_select_from_candidate_replicas`` chooses one
        of a group. The last one has all."""
        if pending_request is None:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True  # a pause between two tries
        wanted = _adapters_of(pending_request)
        if not wanted:
            return [candidate_replicas]
        # During an update, replicas of earlier code would leave the adapters out.
        able = [replica for replica in candidate_replicas if ADAPTERS in replica.routing_stats]
        candidate_replicas = able or candidate_replicas
        having = [
            replica
            for replica in candidate_replicas
            if wanted.issubset(replica.routing_stats.get(ADAPTERS, ()))
        ]
        if not having:
            return [candidate_replicas]
        idle, unknown, with_room = self._by_use(candidate_replicas)
        preferred = (
            [replica for replica in idle if replica in having],
            idle + unknown,
            [replica for replica in with_room if replica in having],
        )
        return [group for group in (*preferred, candidate_replicas) if group]

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
        groups = [group for group in self._by_use(replicas) if group]
        few = min(FULL_ASKED, len(replicas))
        return groups or [random.sample(replicas, few)]

    def _by_use(
        self, replicas: Sequence[RunningReplica]
    ) -> tuple[list[RunningReplica], list[RunningReplica], list[RunningReplica]]:
        """The idle ones, those with an unknown number of requests, and those with room; each in no
        particular order."""
        idle, unknown, with_room = [], [], []
        for replica in random.sample(replicas, len(replicas)):
            count = self.replica_queue_len_cache.get(replica.replica_id)
            if count is None:
                unknown.append(replica)
            elif count == 0:
                idle.append(replica)
            elif count < replica.max_ongoing_requests:
                with_room.append(replica)
        return idle, unknown, with_room


def _adapters_of(pending: PendingRequest) -> frozenset[str]:
    """Names of the adapters of the job that is to be routed."""
    used = getattr(pending.args[0], "adapters", ()) if pending.args else ()
    return frozenset(use.name for use in used)


def _suits(replica: RunningReplica, pending: PendingRequest) -> bool:
    """Whether a replica that was chosen for another job may do this one."""
    wanted = _adapters_of(pending)
    if not wanted:
        return True
    there = replica.routing_stats.get(ADAPTERS)
    if there is None:
        return False  # earlier code, which would leave the adapters out
    return wanted.issubset(there) or time.time() - pending.created_at > ADAPTER_PATIENCE


def _with_own_limit(info: RunningReplicaInfo, first: int | None) -> RunningReplicaInfo:
    """``first``: the limit of a replica that has not reported one; None: that of Serve."""
    most = info.max_ongoing_requests
    own = info.routing_stats.get(SLOTS, first or most)
    return replace(info, max_ongoing_requests=min(most, own))


ROUTING = RequestRouterConfig.model_validate(
    {
        "request_router_class": "deployments.routing:IdleFirst",
        "max_backoff_s": 0.1,
        "request_routing_stats_period_s": 2,
    }
)
"""The router of every engine deployment."""
