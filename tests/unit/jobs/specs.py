"""Specs of jobs, for tests that need only a few of their values."""

from typing import Any

from acestep_ray.decoder.protocol import DecodeParameters
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.protocol import PlanParameters


def spec(plan: PlanParameters | None = None, **decode: Any) -> JobSpec:
    """A song of two takes, with these parameters of its plan and of the decoder."""
    song = {"caption": "song", "seeds": (1, 2), "steps": 8, "guidance_scale": 7.0}
    return JobSpec(decode=DecodeParameters.model_validate(song | decode), plan=plan)
