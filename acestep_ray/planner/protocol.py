"""What every planner engine is: mock, transformers (``pt``) and vLLM are siblings behind this."""

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field


class PlanRequest(BaseModel):
    """What the planner needs of a job. Every value has been checked at the door."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    attempt: int
    caption: str
    lyrics: str
    vocal_language: str = "en"
    # What the user gave; it is forced into the metadata and comes back as given.
    bpm: int | None = None
    key_scale: str = ""
    time_signature: str = ""
    duration: float | None = Field(None, description="Seconds, 10-600.")
    # "llm_dit": metadata and codes; "dit": metadata only.
    infer_type: Literal["dit", "llm_dit"] = "llm_dit"
    seed: int = Field(0, description="Of the first take, 0..2**32-1.")
    model: str = Field("", description="LM checkpoint name; empty: the engine's own.")
    planner: str = Field("", description="Name of the planner that is to make it.")
    temperature: float = 0.6
    cfg_scale: float = 1.0
    negative_prompt: str = "NO USER INPUT"
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    # Bounds on what the LM may choose.
    max_duration: float = 600.0


class Metadata(BaseModel):
    """Legal metadata as the grammar of the LM has it."""

    model_config = ConfigDict(frozen=True)

    bpm: int
    caption: str | None
    duration: int = Field(description="Seconds, whole, as the LM writes it.")
    keyscale: str
    language: str
    timesignature: str = Field(description="2, 3, 4 or 6.")


class Plan(BaseModel):
    """What the LM wrote. ``codes`` is empty for ``infer_type="dit"``."""

    model_config = ConfigDict(frozen=True)

    metadata: Metadata
    codes: tuple[int, ...] = Field(
        (), description="Audio codes, 0..63999, 5 a second; floor(5 * seconds) of them."
    )
    seconds: float = Field(description="Length that the codes were made for, seconds.")
    model: str = Field(description="LM checkpoint that wrote it.")
    elapsed: float = Field(description="Time it took, seconds.")
    mock: bool = False


class PlanProgress(BaseModel):
    """Sent at the start of each stage (step 0) and a few times a second after it."""

    model_config = ConfigDict(frozen=True)

    stage: Literal["metadata", "codes"]
    step: int
    total: int


class PlannerDescription(BaseModel):
    """What is deployed, for ``/v1/models`` and ``/health``."""

    model_config = ConfigDict(frozen=True)

    engine: Literal["mock", "pt", "vllm"]
    models: tuple[str, ...]
    mock: bool
    deployment: str = Field("", description="Name of the planner, where it is deployed.")


class PlannerError(Exception):
    """The plan could not be made. The message is one sentence that a client may read."""


class PlannerEngine(Protocol):
    """One way to be a planner."""

    def describe(self) -> PlannerDescription:
        """What this engine serves."""
        ...

    def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """Plan one job: the first event when work really starts, progress, and a Plan at the end.

        Closing the iterator (or cancelling the task that reads it) stops the work within one token
        batch. Raises PlannerError.
        """
        ...
