"""Several Redis stores on one database, used as one: each batch goes to another of them."""

import itertools
from collections.abc import Sequence

from acestep_ray.jobs.store.operations import Lease, Op
from acestep_ray.jobs.store.protocol import Peers
from acestep_ray.jobs.store.records import JobChange
from acestep_ray.jobs.store.redis import RedisStore


class MultiStore:
    """JobStore. Its changes are those that a store which only listens receives."""

    def __init__(self, url: str, stores: int = 3) -> None:
        self._stores = [RedisStore(url) for _ in range(stores)]
        self._turns = itertools.cycle(self._stores)
        self._listener = RedisStore(url)
        self._peers = self._listener.peers()
        assert self._peers.exchange("", 0).missed

    def apply(self, batch: Sequence[Op], now: float) -> list[object]:
        """See JobStore. A lease is repeated at the store of the first try, as its runner does: only
        that store knows that it found nothing."""
        store = next(self._turns)
        for op in batch:
            if isinstance(op, Lease):
                store = self._stores[sum(op.request_id.encode()) % len(self._stores)]
        answers = store.apply(batch, now)
        store.take_changes()
        return answers

    def take_changes(self) -> list[JobChange]:
        """See JobStore."""
        reported: list[JobChange] = []
        while True:
            received = self._peers.exchange("", 0)
            assert not received.missed
            if not received.changes:
                return reported
            reported += received.changes

    def peers(self) -> Peers | None:
        """See JobStore."""
        return None

    def close(self) -> None:
        """See JobStore."""
        self._peers.close()
        for store in (*self._stores, self._listener):
            store.close()
