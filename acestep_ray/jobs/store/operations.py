"""The operations of a job store. For the rules of all of them see protocol.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.store.records import (
    BacklogItem,
    DeliveryRecord,
    DeliveryState,
    JobRecord,
    StoreStats,
    Submitted,
)

Stored_co = TypeVar("Stored_co", covariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class Operation(Generic[Stored_co, Answer_co]):
    """One atomic request, with the types of its answer: a store returns ``Stored_co``, and the
    coordinator, which may add live state, returns ``Answer_co`` to its callers.

    Only the type checker uses these types: they are not stored in objects and not sent.
    """


class Direct(Operation[Stored_co, Stored_co]):
    """An operation to whose answer the coordinator adds nothing."""


Op = Operation[object, object]
"""Any operation. Batches consist of these; see answers.py for what they return."""


@dataclass(frozen=True)
class Submit(Direct[Submitted]):
    """Queue a job. Returns Submitted; raises QueueFull, IdempotencyMismatch or JobExpired.

    The same ``job_id`` again returns the same as before. The same ``idempotency_key`` by the same
    ``owner`` with the same ``fingerprint`` returns the first job; with another fingerprint it is an
    error. A key whose job was deleted or has expired is free again.
    """

    job_id: str
    spec: str  # JSON of JobSpec; the store never reads it
    needs_plan: bool
    owner: str = ""  # digest of the API key
    idempotency_key: str | None = None
    fingerprint: str = ""  # digest of the body
    max_queued: int = 200
    planner: str = ""  # name of the planner that plans it, as in Lease.planner_slots
    work: float = 0.0  # the decoder's cost: seconds of audio of all takes, times steps
    task: str = ""  # task_type, for metrics
    webhook: str = ""  # JSON of jobs.webhook.Webhook; empty: none
    webhook_kinds: tuple[str, ...] = ()  # kinds of changes (EventKind) that are to be delivered
    plans: int = 1  # plan slots that it takes while it is planned; see jobs/plan_cost.py
    decoder: str = ""  # name of its decoder, as in Lease.decoder_slots; empty: the only one


@dataclass(frozen=True)
class Get(Operation[JobRecord, Snapshot]):
    """Read a job. Returns JobRecord; raises JobNotFound or JobExpired."""

    job_id: str


@dataclass(frozen=True)
class ListJobs(Operation[list[JobRecord], list[Snapshot]]):
    """Read jobs, newest first. ``before``: only jobs with a lower place. ``error_codes``: only jobs
    that failed with one of them. ``brief``: without plan and result. Returns list[JobRecord]."""

    status: Status | None = None
    limit: int = 50
    before: int | None = None
    owner: str | None = None  # None: jobs of all owners
    error_codes: tuple[ErrorCode, ...] = ()
    brief: bool = False


@dataclass(frozen=True)
class Lease(Direct[list[JobRecord]]):
    """Lease the next jobs to a runner, in order. Returns list[JobRecord] with their new attempt.

    ``plan_slots`` and ``decode_slots`` are the slots of all planners and of all decoders. Jobs that
    are leased already use them: a leased job that still needs its plan uses as many plan slots as
    it has ``plans``, any other leased job a decode slot. A job that needs a plan is leased only if
    all leased jobs of its decoder then use no more than all plan slots and the decode slots of that
    decoder together, and no job at an earlier place is left waiting for a decode slot: jobs go on
    from their plan to the decoder, and that one would never get there. If the slots for a queued
    job are taken, later jobs that need no plan may be leased before it, but none of its own kind.
    ``planner_slots`` and ``decoder_slots`` limit the slots of single planners and decoders: if
    those of a job's planner, or decoder, are taken, later jobs of others may be leased before it;
    the first job that waits for its planner keeps a place at its decoder. A planner or decoder that
    is not named there may use all slots of its kind; for a decoder that is named with 0 no plan is
    made. A job that needs more plan slots than there are for its planner needs all of them.

    A repeated ``request_id`` returns the same jobs. A runner without a liveness record (KeepAlive)
    gets no jobs. ``cluster``: id of the Ray cluster that has these slots. If several clusters share
    a store, jobs that are leased in another cluster use none of them.
    """

    runner: str
    request_id: str
    plan_slots: int
    decode_slots: int
    planner_slots: Mapping[str, int] = field(default_factory=dict)
    cluster: str = ""
    decoder_slots: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class KeepAlive(Direct[None]):
    """Record that a runner lives, until ``now + ttl`` (``ttl``: seconds). Returns None."""

    runner: str
    ttl: float


@dataclass(frozen=True)
class Deregister(Direct[None]):
    """A runner stops in good order. Its jobs go back to their places, and their starts are not
    counted. Returns None."""

    runner: str


@dataclass(frozen=True)
class IsOwner(Direct[bool]):
    """Whether ``attempt`` still has the job. Returns bool."""

    job_id: str
    attempt: int


@dataclass(frozen=True)
class Start(Direct[bool]):
    """The job's engine has begun: queued -> running. Counted once per attempt. Returns bool:
    whether the attempt still has the job."""

    job_id: str
    attempt: int


@dataclass(frozen=True)
class SavePlan(Direct[bool]):
    """Store the job's plan. ``seconds``: how long it took to make. ``work``: replaces that of
    Submit, if given. Returns bool as Start."""

    job_id: str
    attempt: int
    plan: str
    seconds: float | None = None
    work: float | None = None


@dataclass(frozen=True)
class Finish(Direct[bool]):
    """End the job: with ``result`` (JSON of JobResult) it succeeded, else it failed.
    ``device_seconds``: how long the decoder's device worked on it. Returns bool: whether this
    attempt has ended the job (also if repeated)."""

    job_id: str
    attempt: int
    result: str | None = None
    error: str | None = None
    error_code: ErrorCode | None = None
    device_seconds: float | None = None


@dataclass(frozen=True)
class Release(Direct[bool]):
    """Give a leased job back to its place. ``lost``: its worker died. That counts as a start, even
    if the job had not begun; after ``max_starts`` starts the job fails with worker_lost. Not lost:
    its start, if any, is no longer counted. Returns bool as Start."""

    job_id: str
    attempt: int
    lost: bool
    max_starts: int = 3


@dataclass(frozen=True)
class Cancel(Operation[JobRecord, Snapshot]):
    """End a job at once as cancelled. Returns JobRecord (also if it was cancelled before); raises
    JobNotFound, JobExpired or AlreadyEnded."""

    job_id: str


@dataclass(frozen=True)
class Delete(Direct[None]):
    """End the job if it has not ended, and delete it: from now on its id raises JobExpired, and its
    artifacts are garbage. Returns None; raises JobNotFound, or JobExpired if already deleted."""

    job_id: str


@dataclass(frozen=True)
class Sweep(Direct[list[str]]):
    """Requeue the jobs of runners whose liveness record has expired: running jobs as from a lost
    worker, the others without counting a start. Fail the jobs that have run for more than
    ``timeout`` seconds since their present start. Returns list[str]: ids of the jobs that
    changed."""

    max_starts: int = 3
    timeout: float = 3600.0


@dataclass(frozen=True)
class ExtendLeases(Direct[None]):
    """Extend every liveness record to at least ``now + ttl`` (``ttl``: seconds), because the store
    was unavailable. Returns None.

    Does nothing if another store on the same database has swept it after ``since`` (epoch
    seconds): then the database was available, and runners could renew their records.
    """

    ttl: float
    since: float = float("inf")


@dataclass(frozen=True)
class Purge(Direct[int]):
    """Expire jobs that ended more than ``keep`` seconds ago, at most ``limit`` per call. Delete
    expired ids after ``keep_expired`` more seconds, together with the webhook messages that were
    never delivered, and idempotency keys after ``keep_idempotency`` seconds. Returns int: how many
    jobs expired."""

    keep: float
    keep_expired: float
    keep_idempotency: float
    limit: int = 500


@dataclass(frozen=True)
class ListGarbage(Direct[list[str]]):
    """Ids of deleted and expired jobs whose artifacts may still be stored. Returns list[str]."""

    limit: int = 100


@dataclass(frozen=True)
class AckGarbage(Direct[None]):
    """The artifacts of these jobs are deleted. Returns None."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True)
class Stats(Direct[StoreStats]):
    """Returns StoreStats."""


@dataclass(frozen=True)
class Backlog(Direct[list[BacklogItem]]):
    """The jobs that have not ended. Returns list[BacklogItem], in the order of places."""


@dataclass(frozen=True)
class LeaseDeliveries(Direct[list[DeliveryRecord]]):
    """Take at most ``limit`` webhook messages, those that are due the longest. No other call gets
    them for ``seconds``. Returns list[DeliveryRecord], the oldest first.

    Messages of changes are stored in the transaction of the change: SUBMITTED, STARTED (kind
    "running"), REQUEUED and ENDED, if the job's ``webhook_kinds`` have them. They survive the
    deletion of their job. A repeated ``request_id`` returns the messages that it still has; it
    takes others only if it has none.
    """

    limit: int
    seconds: float
    request_id: str


@dataclass(frozen=True)
class SaveDelivery(Direct[None]):
    """Store the outcome of a try. ``tries``: its number, from 1 (DeliveryRecord.tries + 1).
    ``next_at``: epoch seconds of the next try; None if DELIVERED or FAILED. Returns None.

    Does nothing if the message no longer exists or is no longer pending. Nor does it, unless
    DELIVERED, if the outcome of this or a later try is stored already: then it is repeated, or
    another sender had the message meanwhile.
    """

    delivery_id: str
    state: DeliveryState
    tries: int
    next_at: float | None = None
    http_status: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class ListDeliveries(Direct[list[DeliveryRecord]]):
    """Messages of one job, oldest first; of a deleted or expired one those that are pending.
    Returns list[DeliveryRecord]."""

    job_id: str
