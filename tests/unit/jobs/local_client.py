"""The job store as other processes see it, without Ray in between."""

import time
import uuid

from acestep_ray.jobs.client import PATIENCE, LeaseRequest
from acestep_ray.jobs.coordinator.change_log import Changes, Entries
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.events import EventId, JobEvent, Topic
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import QueueStats, State
from acestep_ray.jobs.store.answers import Answer, answered
from acestep_ray.jobs.store.operations import Operation
from acestep_ray.jobs.store.records import DeliveryRecord, JobRecord
from acestep_ray.jobs.webhook import ProgressDelivery
from acestep_ray.planner.protocol import PlannerDescription
from acestep_ray.replicas.registry import Registration, RegistrySnapshot
from tests.unit.jobs.engines import DESCRIPTION

LM = PlannerDescription(engine="mock", models=("lm",), mock=True)


class LocalClient:
    """A JobStoreClient."""

    def __init__(self, coordinator: JobCoordinator) -> None:
        self.coordinator = coordinator

    def deploy(self, plan_slots: int, decode_slots: int) -> None:
        """Register a planner and a decoder with so many slots; 0: deregister."""
        now = time.monotonic()
        for one in (
            Registration("planner", "Planner", LM, plan_slots),
            Registration("decoder", "Decoder", DESCRIPTION, decode_slots),
        ):
            self.coordinator.registry.register(one, now)

    async def apply(self, op: Operation[object, Answer], patience: float = PATIENCE) -> Answer:
        (answer,) = await self.coordinator.apply([op])
        return answered(op, answer)

    async def lease(self, request: LeaseRequest, patience: float = PATIENCE) -> list[JobRecord]:
        return await self.coordinator.lease(request)

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        return await self.coordinator.changes(since, seconds)

    async def events(
        self, since: EventId | None, seconds: float, topic: Topic | None = None
    ) -> Entries[JobEvent]:
        return await self.coordinator.events(since, seconds, topic)

    async def state(self, topic: Topic) -> State:
        return await self.coordinator.state(topic)

    async def deliveries(
        self, limit: int, lease_seconds: float, wait_seconds: float
    ) -> list[DeliveryRecord | ProgressDelivery]:
        request_id = uuid.uuid4().hex
        return await self.coordinator.deliveries(request_id, limit, lease_seconds, wait_seconds)

    async def report(self, progress: list[tuple[str, int, Progress]]) -> None:
        await self.coordinator.report(progress)

    async def stats(self) -> QueueStats:
        return await self.coordinator.stats()

    async def replicas(self) -> RegistrySnapshot:
        return self.coordinator.registry.snapshot()
