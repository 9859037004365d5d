"""A job's row, without its long texts."""

from dataclasses import dataclass
from typing import Any

from acestep_ray.jobs.job import ErrorCode, Status, error_code_of


@dataclass(frozen=True)
class JobRow:
    """One row of ``jobs``; for the meaning of the columns see schema.py and records.JobRecord."""

    place: int
    job_id: str
    owner: str
    status: Status
    needs_plan: bool
    plan_pending: bool
    created_at: float
    started_at: float | None
    finished_at: float | None
    attempt: int
    starts: int
    runner: str | None
    lease_request: str | None
    released: int | None
    ended_by: int | None
    error: str | None
    error_code: ErrorCode | None
    planner: str
    work: float
    cluster: str
    plan_seconds: float | None
    device_seconds: float | None
    task: str
    webhook: str
    webhook_kinds: str
    plans: int
    decoder: str

    def belongs_to(self, attempt: int) -> bool:
        """The fence: whether ``attempt`` has the job now.

        The number alone is not enough: a job that was given back keeps it until its next lease.
        """
        return self.runner is not None and self.attempt == attempt


COLUMNS = ", ".join(JobRow.__dataclass_fields__)


def job_of_row(row: tuple[Any, ...]) -> JobRow:
    """A JobRow from ``SELECT {COLUMNS}``."""
    values = dict(zip(JobRow.__dataclass_fields__, row, strict=True))
    values["status"] = Status(values["status"])
    values["needs_plan"] = bool(values["needs_plan"])
    values["plan_pending"] = bool(values["plan_pending"])
    values["error_code"] = error_code_of(values["error_code"])
    return JobRow(**values)
