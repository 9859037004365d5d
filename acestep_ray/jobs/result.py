"""The result of a job, as it is stored. HTTP responses are made from it."""

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.decoder.events import Take
from acestep_ray.planner.protocol import Plan

__all__ = ["JobResult", "Progress", "Take"]


class JobResult(BaseModel):
    """Stored when a job succeeds."""

    # Errors go to the log, which must not hold users' texts.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    takes: tuple[Take, ...]
    plan: Plan | None = Field(description="None: the job was not planned by the LM.")
    generation_info: str = Field(description="See runner/generation_info.py.")
    duration: float = Field(description="Length of each take, seconds.")
    warnings: tuple[str, ...] = Field((), description="Found while the job ran.")


class Progress(BaseModel):
    """How far a running job is: ``step`` of ``total`` steps of ``stage``."""

    model_config = ConfigDict(frozen=True)

    stage: str = Field(
        description="writing, metadata, codes, waiting, encoding, diffusion, vae, storing."
    )
    step: int = Field(description="Steps of the stage that are done.")
    total: int = Field(description="All steps of the stage.")
    fraction: float = Field(ge=0, le=1, description="Share of the whole job that is done.")
