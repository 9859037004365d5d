"""What clients see of a job and of the queue: stored data and live state together."""

from dataclasses import dataclass

from acestep_ray.jobs.events import EventId
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.records import JobRecord, StoreStats
from acestep_ray.replicas.capacity import Capacity


@dataclass(frozen=True)
class Snapshot:
    """A job now. ``eta_seconds``: estimated wait left, set while the job is queued. ``expires_at``:
    epoch seconds, set once the job has ended."""

    record: JobRecord
    progress: Progress | None = None
    eta_seconds: float | None = None
    expires_at: float | None = None


@dataclass(frozen=True)
class State:
    """Jobs after the event ``id``: all earlier events are part of it, and no later one is.

    ``jobs``: for the topic OfJob that job; for OfOwner the owner's jobs that have not ended, newest
    first, without plan and result.
    """

    id: EventId
    jobs: tuple[Snapshot, ...]


@dataclass(frozen=True)
class QueueStats:
    """For ``/v1/stats``. ``job_seconds``: seconds from start to end of a job, as measured.
    ``work_per_second``, ``plan_seconds``: as in Throughput (jobs/coordinator/backlog.py); None
    until they were measured."""

    store: StoreStats
    capacity: Capacity
    job_seconds: float
    work_per_second: float | None = None
    plan_seconds: float | None = None
