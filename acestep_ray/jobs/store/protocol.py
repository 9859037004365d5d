"""What every job store does: the queue's rules as atomic operations.

A store applies the operations of a batch in order. Each operation is atomic; the whole batch is
durable before ``apply`` returns. An operation that writes may be applied twice with the same
arguments (Ray retries calls): it then has the effect of one, and returns the same. ``now`` (epoch
seconds) is always given by the caller.

Order: jobs wait in the order of their ``place``, a number that a job gets at submit and keeps; a
job that is given back returns to its place. Fence: each lease gives a job its next ``attempt``
number; Start, SavePlan, Finish and Release with an older number change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from acestep_ray.jobs.store.operations import Op
from acestep_ray.jobs.store.records import JobChange


@dataclass(frozen=True)
class PeerUpdate:
    """What the other stores on the same database did since the last exchange.

    ``changes``: as returned by JobStore.take_changes. ``missed``: some changes are unknown, so read
    everything again. ``states``: what each of them shares now.
    """

    changes: list[JobChange]
    missed: bool
    states: tuple[str, ...]


class Peers(Protocol):
    """The other stores on the same database. Blocking; used from one thread, not the store's."""

    def exchange(self, state: str, seconds: float) -> PeerUpdate:
        """Share ``state`` with the others for some seconds, and return what they did.

        Waits up to ``seconds`` for a change. Raises StoreUnavailable.
        """
        ...

    def close(self) -> None:
        """Close the connection to the database."""
        ...


class JobStore(Protocol):
    """A durable store. Blocking; used from one thread at a time."""

    def apply(self, batch: Sequence[Op], now: float) -> list[object]:
        """Apply the operations in order; durable on return.

        Returns one result per operation: of the first type that its class declares (answers.py), or
        a StoreError instance if it failed by its own rules. Raises StoreUnavailable: then nothing
        of the batch was applied or, if the database is reached over a network, perhaps all of it.
        """
        ...

    def take_changes(self) -> list[JobChange]:
        """What ``apply`` did with jobs since the last call, in order: see ChangeKind. A job that
        got its plan is included because it frees a plan slot; one that expires is not. If a live
        job is deleted, that are two changes: its end, and its deletion."""
        ...

    def peers(self) -> Peers | None:
        """The other stores on the same database; None if the database has only one store."""
        ...

    def close(self) -> None:
        """Close the connection to the database."""
        ...
