"""What happens to jobs, as streams of events, webhooks and metrics report it."""

from dataclasses import dataclass
from enum import StrEnum

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.result import Progress


class EventKind(StrEnum):
    """A kind of change. Documented in docs/events.md; add to it, never rename."""

    SUBMITTED = "submitted"
    RUNNING = "running"  # an engine has begun an attempt
    STAGE = "stage"  # progress in another stage than before
    PROGRESS = "progress"  # progress within a stage
    REQUEUED = "requeued"  # given back to its place: its worker was lost or stopped
    ENDED = "ended"
    DELETED = "deleted"


@dataclass(frozen=True)
class JobEvent:
    """One change of one job.

    ``at``: epoch seconds. ``owner``: see operations.Submit. ``status``: the job's status after it.
    ``attempt``: number of the job's last lease. ``progress``: for STAGE and PROGRESS.
    ``error_code``: of a job that failed.
    """

    kind: EventKind
    job_id: str
    owner: str
    at: float
    status: Status
    attempt: int = 0
    progress: Progress | None = None
    error_code: ErrorCode | None = None


@dataclass(frozen=True)
class OfJob:
    """The events of one job."""

    job_id: str

    def has(self, event: JobEvent) -> bool:
        """Whether the event is one of these."""
        return event.job_id == self.job_id


@dataclass(frozen=True)
class OfOwner:
    """The events of all jobs of one owner; see operations.Submit."""

    owner: str

    def has(self, event: JobEvent) -> bool:
        """Whether the event is one of these."""
        return event.owner == self.owner


Topic = OfJob | OfOwner
"""Which events a reader wants."""

EventId = tuple[str, int]
"""A place in the log of events: its epoch, and the version of the last event that was read."""
