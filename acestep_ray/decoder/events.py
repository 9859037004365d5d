"""What a decoder replica reports while it works, and its result."""

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.decoder.protocol import DecoderDescription, TakeScores
from acestep_ray.formats import FORMATS

OFF_DEVICE = frozenset({"reading", "waiting", "storing"})
"""Phases of a job in which other jobs can use the device."""


class Take(BaseModel):
    """One stored piece of audio."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(description="0-based.")
    key: str = Field(description="Where it lies in artifact storage.")
    seed: int
    format: str = Field(description="A name of formats.FORMATS.")
    bytes: int
    sha256: str
    samples: int = Field(description="Samples a channel at 48 kHz.")
    lrc: str | None = Field(None, description="As of RenderedTake; so is scores.")
    scores: TakeScores | None = None

    @property
    def name(self) -> str:
        """Its file name in URLs, such as ``1.mp3``; the number begins at 1."""
        return f"{self.index + 1}.{FORMATS[self.format].extension}"


class DecodeProgress(BaseModel):
    """The first one means that work really started, except for ``waiting``: step 0 of 1 means that
    the device works on another job, and step 1 of 1 that it no longer does."""

    model_config = ConfigDict(frozen=True)

    stage: str = Field(
        description="Perhaps waiting, as the engine names it (diffusion, vae), then storing."
    )
    step: int
    total: int


class Decoded(BaseModel):
    """All takes are stored."""

    model_config = ConfigDict(frozen=True)

    takes: tuple[Take, ...]
    engine: DecoderDescription
    seconds: dict[str, float] = Field(description="Time spent, by phase.")
    peak_memory: int | None = Field(
        None, description="Most device memory while the job ran, bytes; None where not told."
    )
    warnings: tuple[str, ...] = ()

    @property
    def device_seconds(self) -> float:
        """How long the engine's device worked on the job, seconds."""
        return sum(s for phase, s in self.seconds.items() if phase not in OFF_DEVICE)


class DecodeFailed(BaseModel):
    """The job cannot be done; the replica continues to serve."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(description="An ErrorCode.")
    detail: str = Field(description="One sentence a client may read.")


DecodeEvent = DecodeProgress | Decoded | DecodeFailed
