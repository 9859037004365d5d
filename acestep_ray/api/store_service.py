"""JobService over the job store actor's client."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

from acestep_ray.jobs.client import JobStoreClient
from acestep_ray.jobs.event_hub import EventHub
from acestep_ray.jobs.event_stream import EventStream
from acestep_ray.jobs.events import EventId, Topic
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.known_jobs import KnownJobs
from acestep_ray.jobs.snapshot import QueueStats, Snapshot
from acestep_ray.jobs.store.errors import JobExpired, StoreFull, StoreUnavailable, SubmitInDoubt
from acestep_ray.jobs.store.operations import (
    Cancel,
    Delete,
    Get,
    ListDeliveries,
    ListJobs,
    Submit,
)
from acestep_ray.jobs.store.records import DeliveryRecord, Submitted
from acestep_ray.metrics import NO_METER, Meter
from acestep_ray.replicas.decoders import decoders_of
from acestep_ray.replicas.deployed import Deployed, ServeState, merge
from acestep_ray.replicas.planners import planners_of
from acestep_ray.replicas.registry import RegistrySnapshot
from acestep_ray.settings import Settings
from acestep_ray.shared_work import SharedCall, start_task

DEPLOYED_SECONDS = 1.0
"""How old the data about the deployments may be, in seconds."""
KNOWN_SECONDS = 600.0
"""How old they may be for a request that does not wait for them."""

logger = logging.getLogger(__name__)


class JobStoreService:
    """JobService over the job store actor."""

    def __init__(
        self,
        client: JobStoreClient,
        settings: Settings,
        serve: ServeState,
        meter: Meter = NO_METER,
    ) -> None:
        self._client = KnownJobs(client)
        self._planners = planners_of(settings)
        self._decoders = decoders_of(settings)
        self._watcher = self._client.watcher
        self._hub = EventHub(self._client.events, settings.events.streams, meter)
        self._refresh = SharedCall(self._read_deployed)
        self._read_at = float("-inf")
        self._deployed = Deployed((), (), ready=False)
        self._serve = serve

    async def submit(self, submit: Submit) -> Submitted:
        """See JobService."""
        try:
            return await self._client.apply(submit)
        except StoreFull:
            raise
        except StoreUnavailable as error:
            raise SubmitInDoubt(str(error)) from error

    async def get(self, job_id: str) -> Snapshot:
        """See JobService."""
        return await self._client.apply(Get(job_id))

    async def wait(self, job_id: str, seen: Status, seconds: float) -> Snapshot:
        """See JobService."""
        deadline = time.monotonic() + seconds
        while True:
            with self._watcher.watch(job_id) as changed:
                snapshot = await self.get(job_id)
                left = deadline - time.monotonic()
                if snapshot.record.status != seen or left <= 0:
                    return snapshot
                try:
                    async with asyncio.timeout(left):
                        await changed.wait()
                except TimeoutError:
                    return await self.get(job_id)

    async def list(self, query: ListJobs) -> list[Snapshot]:
        """See JobService."""
        return await self._client.apply(query)

    def events(self, topic: Topic, since: EventId | None) -> EventStream:
        """See JobService."""
        return EventStream(self._client, self._hub, topic, since)

    async def cancel(self, job_id: str) -> Snapshot:
        """See JobService."""
        return await self._client.apply(Cancel(job_id))

    async def delete(self, job_id: str) -> None:
        """See JobService."""
        await self.get(job_id)  # raises if there is no job to delete
        with contextlib.suppress(JobExpired):  # deleted by this same call, which was repeated
            await self._client.apply(Delete(job_id))

    async def deliveries(self, job_id: str) -> Sequence[DeliveryRecord]:
        """See JobService."""
        found = await self._client.apply(ListDeliveries(job_id))
        if not found:
            await self.get(job_id)  # raises if there is no such job
        return found

    async def stats(self) -> QueueStats:
        """See JobService."""
        return await self._client.stats()

    async def deployed(self, *, at_once: bool = False) -> Deployed:
        """See JobService. What was once deployed is kept: requests for a stage whose replicas are
        being replaced are still accepted, and wait."""
        age = time.monotonic() - self._read_at
        if age <= DEPLOYED_SECONDS:
            return self._deployed
        if at_once and self._deployed.ready and age <= KNOWN_SECONDS:
            start_task(self._look_again())
        else:
            await self._refresh()
        return self._deployed

    async def _look_again(self) -> None:
        try:
            await self._refresh()
        except StoreUnavailable as error:
            logger.debug("What is deployed cannot be read now: %s", error)

    async def _read_deployed(self) -> None:
        view = await self._client.replicas()
        status = await self._serve_of(view)
        self._deployed = merge(self._deployed, view, self._planners, self._decoders, status)
        self._read_at = time.monotonic()

    async def _serve_of(self, view: RegistrySnapshot) -> ServeState:
        """The state that Serve reports. It is read again if a deployment has no replica."""
        living = {one.deployment for one in view.live}
        names = {*(one.name for one in self._decoders), *(one.name for one in self._planners)}
        if not living.issuperset(names):
            await self._serve.look()
        return self._serve
