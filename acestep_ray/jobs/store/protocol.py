"""What every job store does: the queue's rules as atomic operations.

A store takes a batch of operations and applies them in order, each atomic by itself, the batch
durable as a whole before ``apply`` returns. Every mutating operation may be applied twice with the
same arguments (Ray retries calls at least once) and then has the effect, and gives the answer, of
once. ``now`` is always given, so that time is the caller's.

Order: jobs wait in the order of their ``place``, a number given at submit and kept for life, so a
job that comes back stands where it stood. Fence: each lease gives a job its next ``attempt``
number; ``start``, ``save_plan``, ``finish`` and ``release`` with an older one change nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from acestep_ray.jobs.job import ErrorCode, Status


@dataclass(frozen=True)
class Submit:
    """Queue a job. Answers Submitted, or raises QueueFull or IdempotencyMismatch.

    The same ``job_id`` again answers as before. The same ``idempotency_key`` by the same ``owner``
    with the same ``fingerprint`` answers the first job; with another it is an error. A key whose
    job was deleted or has expired is free again.
    """

    job_id: str
    spec: str  # JSON of JobSpec; the store never reads it
    needs_plan: bool
    owner: str = ""  # digest of the API key
    idempotency_key: str | None = None
    fingerprint: str = ""  # digest of the body
    max_queued: int = 200
    planner: str = ""  # which planner plans it, as Lease.planner_slots names them
    work: float = 0.0  # what the decoder has to do: seconds of audio, of all takes, times steps


@dataclass(frozen=True)
class Submitted:
    """``created`` is False where the idempotency key named an older job."""

    job_id: str
    status: Status
    position: int
    created: bool


@dataclass(frozen=True)
class Get:
    """Read a job. Answers JobRecord; raises JobNotFound or JobExpired."""

    job_id: str


@dataclass(frozen=True)
class JobRecord:
    """A job as stored. ``position``: 1 = next among the queued, 0 when not queued."""

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


@dataclass(frozen=True)
class ListJobs:
    """Newest first. ``before`` is the place of the last one seen. ``error_codes``: only jobs that
    failed with one of them. ``brief``: without plan and result. Answers list[JobRecord]."""

    status: Status | None = None
    limit: int = 50
    before: int | None = None
    owner: str | None = None  # None: everybody's
    error_codes: tuple[ErrorCode, ...] = ()
    brief: bool = False


@dataclass(frozen=True)
class Lease:
    """Hand a runner the next jobs, in order. Answers list[JobRecord] with their new attempt.

    ``plan_slots`` and ``decode_slots`` are what all planners and decoders together can hold; jobs
    that others have leased already take up their slots. A leased job without a plan that needs one
    takes a plan slot, any other leased job a decode slot; a job that needs a plan is handed out
    only while all leased jobs are fewer than both together. A queued job whose slots are taken is
    passed over for later ones of the other kind, never for its own. ``planner_slots`` bounds the
    plan slots of single planners; a job whose planner's are taken is passed over for those of other
    planners, and a planner that is not named may take all. ``request_id`` makes a retry answer the
    same jobs. A runner without a liveness record (KeepAlive) is leased nothing.

    ``cluster`` names the engines that the slots are of. Where several clusters share a store, jobs
    leased in another one take up none of them.
    """

    runner: str
    request_id: str
    plan_slots: int
    decode_slots: int
    planner_slots: Mapping[str, int] = field(default_factory=dict)
    cluster: str = ""


@dataclass(frozen=True)
class KeepAlive:
    """Say that a runner lives, until ``now + ttl``. Answers None."""

    runner: str
    ttl: float


@dataclass(frozen=True)
class Goodbye:
    """A runner leaves in good order: its jobs go back to their places, uncounted. None."""

    runner: str


@dataclass(frozen=True)
class Owns:
    """Whether ``attempt`` still has the job. Answers bool."""

    job_id: str
    attempt: int


@dataclass(frozen=True)
class Start:
    """The job's engine really began: queued -> running, counted once an attempt. Answers bool:
    whether the attempt still has the job."""

    job_id: str
    attempt: int


@dataclass(frozen=True)
class SavePlan:
    """Keep a plan that was paid for, and what it took, seconds; ``work`` is known better now, where
    it is given. Answers bool as Start."""

    job_id: str
    attempt: int
    plan: str
    seconds: float | None = None
    work: float | None = None


@dataclass(frozen=True)
class Finish:
    """End the job: with ``result`` (JSON of JobResult) it succeeded, else it failed.
    ``device_seconds``: how long the decoder's device worked on it. Answers bool: whether this
    attempt's end is the job's end (also when told twice)."""

    job_id: str
    attempt: int
    result: str | None = None
    error: str | None = None
    error_code: ErrorCode | None = None
    device_seconds: float | None = None


@dataclass(frozen=True)
class Release:
    """Give a leased job back to its old place. ``lost``: its worker died, which counts as a start
    even before it began; after ``max_starts`` of them the job fails as worker_lost. Not lost: its
    start, if any, is no longer counted. Answers bool as Start."""

    job_id: str
    attempt: int
    lost: bool
    max_starts: int = 3


@dataclass(frozen=True)
class Cancel:
    """End a job at once as cancelled. Answers JobRecord (also when cancelled before); raises
    JobNotFound, JobExpired, or AlreadyEnded."""

    job_id: str


@dataclass(frozen=True)
class Delete:
    """End the job if it lives, then forget it: its id answers JobExpired from now on, its artifacts
    are garbage. Answers None; raises JobNotFound; deleting twice raises JobExpired."""

    job_id: str


@dataclass(frozen=True)
class Sweep:
    """Requeue the jobs of lapsed runners, those that ran as from a lost worker, the others
    uncounted; fail those past ``timeout`` seconds since their present start. Answers list[str]: ids
    of the jobs that changed."""

    max_starts: int = 3
    timeout: float = 3600.0


@dataclass(frozen=True)
class Grace:
    """The store was away: every liveness record lives at least until ``now + ttl``. None.

    Where several share a database and another has swept it after ``since``, the database was there
    and heard the runners of everybody who spoke; then nothing happens.
    """

    ttl: float
    since: float = float("inf")


@dataclass(frozen=True)
class Purge:
    """Expire jobs that ended over ``keep`` seconds ago, forget expired ids after ``keep_expired``
    more and idempotency keys after ``keep_idempotency``. At most ``limit`` jobs a call. Answers
    int: how many jobs expired."""

    keep: float
    keep_expired: float
    keep_idempotency: float
    limit: int = 500


@dataclass(frozen=True)
class Garbage:
    """Ids of deleted and expired jobs whose artifacts may still lie about. Answers list[str]."""

    limit: int = 100


@dataclass(frozen=True)
class Collected:
    """The artifacts of these jobs are gone. Answers None."""

    job_ids: tuple[str, ...]


@dataclass(frozen=True)
class Stats:
    """Answers StoreStats."""


@dataclass(frozen=True)
class Pace:
    """What a job took: ``work`` in ``device_seconds``, and the plan, where it had one."""

    work: float
    device_seconds: float
    plan_seconds: float | None


@dataclass(frozen=True)
class StoreStats:
    """Counts by status; of the queued, how many wait for a plan first; lately ended jobs."""

    queued: int
    running: int
    succeeded: int
    failed: int
    queued_for_plan: int
    recent_seconds: tuple[float, ...]  # start to end of the last 50 succeeded jobs
    recent_paces: tuple[Pace, ...] = ()  # of the same, where it was told


@dataclass(frozen=True)
class Backlog:
    """What is to be done. Answers list[Unfinished], in the order of places."""


@dataclass(frozen=True)
class Unfinished:
    """A job that has not ended. ``planner``: who has to plan it; None where no plan is to come."""

    job_id: str
    place: int
    status: Status
    planner: str | None
    work: float
    leased: bool
    cluster: str  # where it is leased


Op = (
    Submit | Get | ListJobs | Lease | KeepAlive | Goodbye | Owns | Start | SavePlan | Finish
    | Release | Cancel | Delete | Sweep | Grace | Purge | Garbage | Collected | Stats | Backlog
)  # fmt: skip


class StoreError(Exception):
    """An operation's own failure; the others of its batch stand."""


class JobNotFound(StoreError):
    """There was never such a job (or it is forgotten)."""


class JobExpired(StoreError):
    """There was such a job; it was deleted or its time is over."""


class AlreadyEnded(StoreError):
    """The job ended otherwise before it could be cancelled."""


class QueueFull(StoreError):
    """As many jobs wait as may."""


class IdempotencyMismatch(StoreError):
    """The key was used with another body."""


class StoreUnavailable(Exception):
    """The database cannot be used just now (locked, disk full, out of reach). The same batch may be
    applied again, whether it happened or not. The message is one sentence."""


class StoreLocked(StoreUnavailable):
    """Another process owns the database."""


class StoreFull(StoreUnavailable):
    """There is no room for an operation of the batch that needs some; others may have it."""


class StoreUnsuitable(Exception):
    """The database will not do as it is. The message names the cure in one sentence."""


class SchemaTooNew(StoreUnsuitable):
    """The database was written by a later release."""


@dataclass(frozen=True)
class Heard:
    """What the other stores on the same database did since they were last heard.

    ``changes``: as JobStore.take_changes tells them. ``missed``: they cannot be told, so look at
    everything. ``boards``: what each of them has on its board now.
    """

    changes: list[tuple[str, Status]]
    missed: bool
    boards: tuple[str, ...]


class Peers(Protocol):
    """The other stores on the same database. Blocking, used from one thread, which is not the
    store's."""

    def exchange(self, board: str, seconds: float) -> Heard:
        """Show the others ``board`` (for some seconds; it is nothing durable) and hear what they
        did; waits up to ``seconds`` for something. Raises StoreUnavailable."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class JobStore(Protocol):
    """A durable store. Blocking, used from one thread at a time."""

    def apply(self, batch: Sequence[Op], now: float) -> list[object]:
        """Apply the operations in order; durable on return.

        Returns one answer an operation, a StoreError instance where one failed by its own rules.
        Raises StoreUnavailable, and then nothing of the batch has happened, or, where the database
        is reached over a network, all of it may have.
        """
        ...

    def take_changes(self) -> list[tuple[str, Status]]:
        """The jobs that ``apply`` changed since this was last asked, in order, each with the status
        it has: new, started, planned, returned to the queue, ended, deleted. Planned ones are told
        because they free a plan slot."""
        ...

    def peers(self) -> Peers | None:
        """The other stores on the same database; None where there can be none."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...
