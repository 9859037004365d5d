"""A job's states, and the one table of legal transitions between them."""

from enum import StrEnum


class Status(StrEnum):
    """What a client sees. A cancelled job is ``failed`` with ``error_code: cancelled``."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether the job will never change its status again."""
        return self in (Status.SUCCEEDED, Status.FAILED)


class ErrorCode(StrEnum):
    """Why a job failed. Documented in docs/api.md; add to it, never rename."""

    CANCELLED = "cancelled"
    INVALID_AUDIO = "invalid_audio"
    OUT_OF_MEMORY = "out_of_memory"
    PLANNER_FAILED = "planner_failed"
    DECODER_FAILED = "decoder_failed"
    STORAGE_FAILED = "storage_failed"
    WORKER_LOST = "worker_lost"
    TIMEOUT = "timeout"
    INTERNAL = "internal"


def error_code_of(text: str | None) -> ErrorCode | None:
    """A stored error code; an unknown one, from a later release, becomes INTERNAL."""
    if text is None:
        return None
    return ErrorCode(text) if text in set(ErrorCode) else ErrorCode.INTERNAL


class Event(StrEnum):
    """What happens to a job."""

    START = "start"  # its engine has begun
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    LOSE = "lose"  # its runner or engine is gone: it returns to its place
    GIVE_UP = "give_up"  # it has lost its worker too often
    TIME_OUT = "time_out"


TRANSITIONS: dict[tuple[Status, Event], Status] = {
    (Status.QUEUED, Event.START): Status.RUNNING,
    (Status.QUEUED, Event.FAIL): Status.FAILED,  # for example: its source cannot be read
    (Status.QUEUED, Event.CANCEL): Status.FAILED,
    (Status.QUEUED, Event.LOSE): Status.QUEUED,
    (Status.QUEUED, Event.GIVE_UP): Status.FAILED,
    (Status.QUEUED, Event.TIME_OUT): Status.FAILED,
    (Status.RUNNING, Event.START): Status.RUNNING,  # the same attempt, reported twice
    (Status.RUNNING, Event.SUCCEED): Status.SUCCEEDED,
    (Status.RUNNING, Event.FAIL): Status.FAILED,
    (Status.RUNNING, Event.CANCEL): Status.FAILED,
    (Status.RUNNING, Event.LOSE): Status.QUEUED,
    (Status.RUNNING, Event.GIVE_UP): Status.FAILED,
    (Status.RUNNING, Event.TIME_OUT): Status.FAILED,
}


class IllegalTransition(Exception):
    """TRANSITIONS has no such row."""


def after(status: Status, event: Event) -> Status:
    """The status that ``event`` leads to. Raises IllegalTransition."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise IllegalTransition(f"a {status} job cannot {event}") from None
