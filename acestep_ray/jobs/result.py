"""What a finished job holds, as it is stored. The HTTP shapes are made from it."""

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.planner.protocol import Plan


class Take(BaseModel):
    """One stored piece of audio."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(description="0-based.")
    key: str = Field(description="Where it lies in artifact storage.")
    seed: int
    format: str = Field(description="mp3, wav, flac, opus, ogg.")
    bytes: int
    sha256: str
    samples: int = Field(description="Samples a channel at 48 kHz.")


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
