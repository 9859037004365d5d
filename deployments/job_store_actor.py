"""The job store actor: one process that owns the store, found by name, restarted by Ray."""

import asyncio
import logging
import os
import time

import ray

from acestep_ray.jobs.client import LeaseRequest
from acestep_ray.jobs.coordinator.change_log import Changes, Entries
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.coordinator.job_metrics import JobMetrics
from acestep_ray.jobs.coordinator.job_traces import JobTraces
from acestep_ray.jobs.coordinator.queue_recorder import record_queue
from acestep_ray.jobs.events import EventId, JobEvent, Topic
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import QueueStats, State
from acestep_ray.jobs.store.answers import answered
from acestep_ray.jobs.store.errors import StoreUnavailable, StoreUnsuitable
from acestep_ray.jobs.store.factory import open_store
from acestep_ray.jobs.store.operations import Get, Op
from acestep_ray.jobs.store.records import DeliveryRecord, JobRecord
from acestep_ray.jobs.webhook import ProgressDelivery
from acestep_ray.replicas.autoscaling import AutoscalingLoad
from acestep_ray.replicas.registry import Registration, RegistrySnapshot, ReplicaRegistry
from acestep_ray.settings import Settings
from acestep_ray.shared_work import SharedCall, start_task
from deployments.process import begin_process
from deployments.ray_meter import meter_of
from deployments.replica_watch import watch_replicas
from deployments.startup_checks import watch_nodes

logger = logging.getLogger(__name__)

MAX_CALLS = 10_000
"""Most calls at a time: most of them are long polls, which only wait."""
OPEN_AGAIN = 1.0
"""Seconds between two tries to open the store: a try may be slow, and callers wait for it."""


class JobStoreActor:
    """A JobCoordinator and a ReplicaRegistry behind Ray calls. A call may be repeated, and then has
    the effect of one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tracer = begin_process(settings, "JobStore")
        self._metrics = JobMetrics(meter_of(settings))
        self._registry = ReplicaRegistry()
        self._open_once = SharedCall(self._try_to_open)
        self._coordinator: JobCoordinator | None = None
        self._refused = StoreUnavailable()  # why it could not be opened, and when
        self._refused_at = float("-inf")
        self._watches: list[asyncio.Task[None]] = []

    async def _open(self) -> JobCoordinator:
        """The coordinator, opened at the first call: when Ray restarts an actor, it calls only
        ``__init__``.

        Raises StoreUnavailable if the store cannot be opened now; a later call tries again.
        """
        self._watch()
        if self._coordinator is None:
            if time.monotonic() - self._refused_at < OPEN_AGAIN:
                raise self._refused
            await self._open_once()
            assert self._coordinator is not None
        return self._coordinator

    def _watch(self) -> None:
        if not self._watches:
            watches = (
                watch_nodes(self._settings),
                watch_replicas(self._registry),
                record_queue(self._metrics, self.stats, self._registry),
            )
            self._watches = [start_task(watch) for watch in watches]

    async def _try_to_open(self) -> None:
        """Open the coordinator and keep it: its callers may no longer wait when it is open."""

        async def read(job_id: str) -> JobRecord:
            get = Get(job_id)
            (answer,) = await coordinator.apply([get])
            return answered(get, answer).record

        coordinator = JobCoordinator(
            lambda: open_store(self._settings),
            self._settings,
            self._registry,
            observers=[self._metrics.changed, JobTraces(self._tracer, read).changed],
        )
        try:
            await coordinator.open()
        except (StoreUnavailable, StoreUnsuitable) as error:
            # An unsuitable store may be repaired meanwhile, too; then waiting jobs continue.
            if str(error) != str(self._refused):
                logger.error("%s", error)
            self._refused, self._refused_at = StoreUnavailable(str(error)), time.monotonic()
            raise self._refused from error
        self._coordinator = coordinator

    async def apply(self, batch: list[Op]) -> list[object]:
        """Apply store operations; see JobCoordinator.apply."""
        return await (await self._checked()).apply(batch)

    async def lease(self, request: LeaseRequest) -> list[JobRecord]:
        """See JobCoordinator.lease."""
        return await (await self._checked()).lease(request)

    async def _checked(self) -> JobCoordinator:
        """The coordinator. If its maintenance has ended, this process ends, and Ray starts a new
        one: without maintenance, lost jobs are not taken back."""
        coordinator = await self._open()
        try:
            coordinator.check()
        except RuntimeError:
            logger.critical("The job store has stopped; replacing this process", exc_info=True)
            os._exit(1)
        return coordinator

    async def report(self, progress: list[tuple[str, int, Progress]]) -> None:
        """See JobCoordinator.report."""
        await (await self._open()).report(progress)

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        """See JobCoordinator.changes."""
        return await (await self._open()).changes(since, seconds)

    async def events(
        self, since: EventId | None, seconds: float, topic: Topic | None
    ) -> Entries[JobEvent]:
        """See JobCoordinator.events."""
        return await (await self._open()).events(since, seconds, topic)

    async def state(self, topic: Topic) -> State:
        """See JobCoordinator.state."""
        return await (await self._checked()).state(topic)

    async def deliveries(
        self, request_id: str, limit: int, lease_seconds: float, wait_seconds: float
    ) -> list[DeliveryRecord | ProgressDelivery]:
        """See JobCoordinator.deliveries."""
        coordinator = await self._checked()
        return await coordinator.deliveries(request_id, limit, lease_seconds, wait_seconds)

    async def stats(self) -> QueueStats:
        """See JobCoordinator.stats."""
        return await (await self._open()).stats()

    async def load(self) -> AutoscalingLoad:
        """See JobCoordinator.load."""
        return await (await self._open()).load()

    async def register(self, registration: Registration, seconds: float) -> None:
        """Register an engine replica, and return after ``seconds``.

        If this process dies during a call, Ray repeats the call to the next process. So that
        process has every registration at once.
        """
        self._watch()
        self._registry.register(registration, time.monotonic())
        await asyncio.sleep(seconds)

    async def replicas(self) -> RegistrySnapshot:
        """The engine replicas that live now."""
        return self._registry.snapshot()


RemoteJobStoreActor = ray.remote(JobStoreActor)
