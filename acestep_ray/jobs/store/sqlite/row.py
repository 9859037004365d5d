"""A job's row, without its long texts."""

from dataclasses import dataclass
from typing import Any

from acestep_ray.jobs.job import ErrorCode, Status


@dataclass(frozen=True)
class Job:
    """One row of ``jobs``, columns in the order of COLUMNS. See schema.py for what they mean."""

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

    def belongs_to(self, attempt: int) -> bool:
        """The fence: whether ``attempt`` has the job now.

        The number alone does not tell: a job that came back keeps it until the next lease.
        """
        return self.runner is not None and self.attempt == attempt


COLUMNS = ", ".join(Job.__dataclass_fields__)


def job_of_row(row: tuple[Any, ...]) -> Job:
    """A Job from ``SELECT {COLUMNS}``."""
    values = dict(zip(Job.__dataclass_fields__, row, strict=True))
    values["status"] = Status(values["status"])
    values["needs_plan"] = bool(values["needs_plan"])
    values["plan_pending"] = bool(values["plan_pending"])
    if values["error_code"] is not None:
        values["error_code"] = ErrorCode(values["error_code"])
    return Job(**values)
