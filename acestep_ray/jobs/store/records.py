"""What a job store's operations return."""

from dataclasses import dataclass
from enum import StrEnum

from acestep_ray.jobs.job import ErrorCode, Status


@dataclass(frozen=True)
class Submitted:
    """An accepted job. ``position``: 1 = next. ``created``: False if the idempotency key named an
    older job."""

    job_id: str
    status: Status
    position: int
    created: bool


@dataclass(frozen=True)
class JobRecord:
    """A job as stored. Times are epoch seconds.

    ``place``: its number in the order of the queue, never changed. ``position``: 1 = next among the
    queued jobs, 0 if not queued. ``attempt``: number of its last lease. ``starts``: see "start" in
    docs/architecture.md. ``owner``, ``task``, ``webhook`` and ``decoder``: see operations.Submit;
    all but the first are empty for jobs of earlier releases. ``needs_plan``: the job needs a plan;
    stays true after the plan is made. ``plan_pending``: its plan is still to be made. ``work``:
    seconds of audio of all takes, times steps. ``runner``: name of the runner that leases it.
    ``spec``, ``plan`` and ``result``: JSON of JobSpec, Plan and JobResult.
    """

    job_id: str
    status: Status
    spec: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    place: int
    position: int
    attempt: int
    starts: int
    needs_plan: bool
    planner: str
    work: float
    runner: str | None
    plan: str | None
    result: str | None
    error: str | None
    error_code: ErrorCode | None
    plan_pending: bool = False
    owner: str = ""
    task: str = ""
    webhook: str = ""
    decoder: str = ""


@dataclass(frozen=True)
class JobTiming:
    """Measured times of one job: the device seconds of its ``decoder`` for its ``work`` (see
    JobRecord), and ``plan_seconds``, None if it had no plan."""

    work: float
    device_seconds: float
    plan_seconds: float | None
    decoder: str = ""


@dataclass(frozen=True)
class StoreStats:
    """Number of jobs by status; ``queued_for_plan``: queued jobs that wait for a plan first.
    ``oldest_queued_at``: submit of the first queued job, epoch seconds; None if none is queued.
    ``deliveries_pending``: webhook messages that are not yet delivered or given up."""

    queued: int
    running: int
    succeeded: int
    failed: int
    queued_for_plan: int
    recent_seconds: tuple[float, ...]  # start to end of the last 50 succeeded jobs
    recent_paces: tuple[JobTiming, ...] = ()  # of the same jobs, if measured
    oldest_queued_at: float | None = None
    deliveries_pending: int = 0


@dataclass(frozen=True)
class BacklogItem:
    """A job that has not ended. ``planner``: the planner that has to make its plan; None if no plan
    is pending. ``work``: see JobRecord. ``plans``, ``decoder``: see operations.Submit."""

    job_id: str
    place: int
    status: Status
    planner: str | None
    work: float
    leased: bool
    cluster: str  # id of the cluster where it is leased, or empty
    plans: int = 1
    decoder: str = ""


class ChangeKind(StrEnum):
    """What a store has done with a job. That a job expires is not reported."""

    SUBMITTED = "submitted"
    STARTED = "started"
    PLANNED = "planned"  # its plan is stored: it needs a decode slot now, no plan slot
    REQUEUED = "requeued"
    ENDED = "ended"
    DELETED = "deleted"


@dataclass(frozen=True)
class JobChange:
    """A committed change of one job, with the columns that readers of changes need.

    ``at``, ``created_at``, ``started_at``, ``finished_at``: epoch seconds. ``lost``: the job was
    requeued, or has ended, because its worker was lost, and that counts as a start. ``task`` and
    ``webhook``: see operations.Submit; empty for jobs of earlier releases. A change that another
    store of an earlier release reports has only ``job_id``, ``status`` and the ``kind`` that this
    status suggests.
    """

    job_id: str
    kind: ChangeKind
    status: Status
    at: float = 0.0
    owner: str = ""
    task: str = ""
    webhook: str = ""
    attempt: int = 0
    created_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    error_code: ErrorCode | None = None
    lost: bool = False


class DeliveryState(StrEnum):
    """How the delivery of one webhook message is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up


@dataclass(frozen=True)
class DeliveryRecord:
    """A webhook message that is stored until it is delivered. Times are epoch seconds.

    ``delivery_id``: the message's id, the same at every try. ``kind``: an EventKind. ``change``:
    the change that it reports. ``tries``: how many were made. ``next_at``: when the next one is
    due, None if there is none. ``http_status`` and ``error``: what the last try got.
    """

    delivery_id: str
    job_id: str
    kind: str
    change: JobChange
    state: DeliveryState
    created_at: float
    tries: int = 0
    next_at: float | None = None
    last_try_at: float | None = None
    http_status: int | None = None
    error: str | None = None
