"""What the routes need: jobs, and what is deployed. See store_service.py for the implementation."""

from collections.abc import Sequence
from typing import Protocol

from acestep_ray.jobs.event_stream import EventStream
from acestep_ray.jobs.events import EventId, Topic
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.snapshot import QueueStats, Snapshot
from acestep_ray.jobs.store.operations import ListJobs, Submit
from acestep_ray.jobs.store.records import DeliveryRecord, Submitted
from acestep_ray.replicas.deployed import Deployed


class JobService(Protocol):
    """Jobs in any store. Raises the StoreErrors of jobs.store.errors and StoreUnavailable."""

    async def submit(self, submit: Submit) -> Submitted:
        """Queue a job; it is on disk when this returns."""
        ...

    async def get(self, job_id: str) -> Snapshot:
        """Read a job."""
        ...

    async def wait(self, job_id: str, seen: Status, seconds: float) -> Snapshot:
        """Read a job once its status is no longer ``seen``, or after ``seconds``."""
        ...

    async def list(self, query: ListJobs) -> list[Snapshot]:
        """Read jobs, newest first."""
        ...

    def events(self, topic: Topic, since: EventId | None) -> EventStream:
        """A stream of the events after ``since``, which is still to be opened."""
        ...

    async def cancel(self, job_id: str) -> Snapshot:
        """End a job as cancelled."""
        ...

    async def delete(self, job_id: str) -> None:
        """End and delete a job."""
        ...

    async def deliveries(self, job_id: str) -> Sequence[DeliveryRecord]:
        """The stored messages to the webhook of a job, oldest first; of a deleted one, those that
        are not yet delivered, if there are any."""
        ...

    async def stats(self) -> QueueStats:
        """Counts and figures."""
        ...

    async def deployed(self, *, at_once: bool = False) -> Deployed:
        """What is deployed and whether it is ready. ``at_once``: without waiting for a new look, if
        the engines are known to be ready; the look is taken meanwhile."""
        ...
