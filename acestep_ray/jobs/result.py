"""What a finished job holds, as it is stored. The HTTP shapes are made from it."""

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.decoder.events import Take
from acestep_ray.planner.protocol import Plan

__all__ = ["JobResult", "Progress", "Take"]


class JobResult(BaseModel):
    """Stored when a job succeeds."""

    model_config = ConfigDict(frozen=True)

    takes: tuple[Take, ...]
    plan: Plan | None
    generation_info: str
    duration: float = Field(description="Length of each take, seconds.")
    warnings: tuple[str, ...] = Field((), description="Found while the job ran.")


class Progress(BaseModel):
    """How far a running job is."""

    model_config = ConfigDict(frozen=True)

    stage: str = Field(description="metadata, codes, waiting, encoding, diffusion, vae, storing.")
    step: int
    total: int
    fraction: float = Field(ge=0, le=1, description="Of the whole job.")
