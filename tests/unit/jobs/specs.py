"""Specs of jobs, for tests that need only a few of their values."""

from dataclasses import replace
from typing import Any

from acestep_ray.decoder.protocol import DecodeParameters
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.records import JobRecord
from acestep_ray.planner.protocol import PlanParameters


def spec(plan: PlanParameters | None = None, **decode: Any) -> JobSpec:
    """A song of two takes, with these parameters of its plan and of the decoder."""
    song = {"caption": "song", "seeds": (1, 2), "steps": 8, "guidance_scale": 7.0}
    return JobSpec(decode=DecodeParameters.model_validate(song | decode), plan=plan)


def job_record(job_id: str, **values: Any) -> JobRecord:
    """A queued job, the first in the queue, with these other values."""
    queued = JobRecord(
        job_id=job_id,
        status=Status.QUEUED,
        spec="{}",
        created_at=0.0,
        started_at=None,
        finished_at=None,
        place=1,
        position=1,
        attempt=0,
        starts=0,
        needs_plan=False,
        planner="",
        work=1.0,
        runner=None,
        plan=None,
        result=None,
        error=None,
        error_code=None,
    )
    return replace(queued, **values)
