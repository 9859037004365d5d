"""A job as a client may see it now: what is stored, and what is only in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.protocol import JobRecord, StoreStats


@dataclass(frozen=True)
class Snapshot:
    """``eta_seconds`` is set while queued: the estimated wait left."""

    record: JobRecord
    progress: Progress | None = None
    eta_seconds: float | None = None
    expires_at: float | None = None


@dataclass(frozen=True)
class Capacity:
    """What a runner sees deployed: replicas that run, and jobs they can hold together;
    ``planner_slots``: by the names of the planners that have any."""

    planners: int = 0
    decoders: int = 0
    plan_slots: int = 0
    decode_slots: int = 0
    planner_slots: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class QueueStats:
    """For ``/v1/stats``."""

    store: StoreStats
    capacity: Capacity
    job_seconds: float


@dataclass(frozen=True)
class Changes:
    """What the feed tells: ``job_ids`` changed status since the version asked about.

    ``missed`` says that the feed cannot tell (it is new, or the reader came too late): look at
    everything you care about. ``epoch`` changes when the feed's owner was restarted.
    """

    epoch: str
    version: int
    job_ids: tuple[str, ...] = field(default=())
    missed: bool = False
