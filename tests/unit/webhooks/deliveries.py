"""Stored messages, and the changes that they report."""

from typing import Any

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.records import (
    ChangeKind,
    DeliveryRecord,
    DeliveryState,
    JobChange,
)

A_JOB = "550e8400-e29b-41d4-a716-446655440000"


def ended(**columns: Any) -> JobChange:
    """The end of a job."""
    return JobChange(A_JOB, ChangeKind.ENDED, Status.SUCCEEDED, at=1000.0, **columns)


def delivery(**columns: Any) -> DeliveryRecord:
    """A message about the end of a job."""
    return DeliveryRecord(
        **{
            "delivery_id": f"{A_JOB}-ended-1",
            "job_id": A_JOB,
            "kind": "ended",
            "change": ended(),
            "state": DeliveryState.PENDING,
            "created_at": 1000.0,
            **columns,
        }
    )
