"""How other processes use the job store actor."""

from dataclasses import dataclass
from typing import Protocol

from acestep_ray.jobs.coordinator.change_log import Changes, Entries
from acestep_ray.jobs.events import EventId, JobEvent, Topic
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import QueueStats, State
from acestep_ray.jobs.store.answers import Answer
from acestep_ray.jobs.store.operations import Operation
from acestep_ray.jobs.store.records import DeliveryRecord, JobRecord
from acestep_ray.jobs.webhook import ProgressDelivery
from acestep_ray.replicas.registry import RegistrySnapshot

PATIENCE = 20.0
"""Seconds that a call waits for an unavailable actor, unless the caller sets another limit."""


@dataclass(frozen=True)
class LeaseRequest:
    """A runner asks for jobs; the coordinator decides how many it can have.

    ``request_id``: a repeated request gets the same jobs. ``planners``: names of the planners that
    the runner has. ``decoders``: names of its decoders, if it has several; the first is the
    default. ``cluster``: id of the Ray cluster, if several share a job store.
    """

    runner: str
    request_id: str
    planners: tuple[str, ...]
    cluster: str = ""
    decoders: tuple[str, ...] = ()


class JobStoreClient(Protocol):
    """The job store actor, which may be unavailable for a while.

    Every call waits for it, and raises StoreUnavailable only if it is still unavailable after
    ``patience`` seconds. Any number of coroutines may call at once.
    """

    async def apply(self, op: Operation[object, Answer], patience: float = PATIENCE) -> Answer:
        """Apply one store operation, waiting up to ``patience`` seconds; see JobCoordinator.apply.
        Raises its StoreError.

        After StoreUnavailable the operation may still be applied: repeat it with the same
        arguments.
        """
        ...

    async def lease(self, request: LeaseRequest, patience: float = PATIENCE) -> list[JobRecord]:
        """Lease what this cluster's engines can start now."""
        ...

    async def report(self, progress: list[tuple[str, int, Progress]]) -> None:
        """Report how far running jobs are: (job id, attempt, progress)."""
        ...

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        """What changed after ``since`` (epoch, version). Waits up to ``seconds`` for a change."""
        ...

    async def events(
        self, since: EventId | None, seconds: float, topic: Topic | None = None
    ) -> Entries[JobEvent]:
        """The events after ``since``. Waits up to ``seconds`` for one. ``topic``: only these."""
        ...

    async def state(self, topic: Topic) -> State:
        """The jobs of a topic now; see JobCoordinator.state."""
        ...

    async def deliveries(
        self, limit: int, lease_seconds: float, wait_seconds: float
    ) -> list[DeliveryRecord | ProgressDelivery]:
        """Messages for webhooks that are due; see JobCoordinator.deliveries."""
        ...

    async def stats(self) -> QueueStats:
        """Present counts and measured times."""
        ...

    async def replicas(self) -> RegistrySnapshot:
        """The engine replicas that live now."""
        ...
