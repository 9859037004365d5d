"""Messages for people: a job's error and the text of a StoreError, the same for every store.

``{...}`` in a constant is filled in when the number is known, which may be inside the database.
"""

CANCELLED = "The job was cancelled."
FAILED = "The job failed."
GIVEN_UP = "The job's worker was lost {times} while it ran, so it was given up."
GIVEN_UP_UNBEGUN = (
    "The job's worker was lost {times}, at last before it had begun, so it was given up."
)
OVERDUE = "The job did not end within {seconds} seconds of its start."
KEY_REUSED = "The idempotency key was used with another body."


def given_up(losses: int, begun: bool) -> str:
    """For a job that lost ``losses`` workers; ``begun``: whether the last one had begun it."""
    message = GIVEN_UP if begun else GIVEN_UP_UNBEGUN
    return message.format(times="once" if losses == 1 else f"{losses} times")


def overdue(seconds: float) -> str:
    """For a job that ran longer than ``seconds``."""
    return OVERDUE.format(seconds=f"{seconds:g}")


def unknown(job_id: str) -> str:
    """For an id that never existed."""
    return f"There is no job {job_id}."


def gone(job_id: str) -> str:
    """For an id whose job has expired or was deleted."""
    return f"Job {job_id} has expired or was deleted."


def ended(job_id: str, status: str) -> str:
    """For a job that can no longer be cancelled."""
    return f"Job {job_id} had already {status}."


def full(queued: int, limit: int) -> str:
    """For a queue that is full."""
    return f"{queued} jobs wait already; the limit is {limit}."
