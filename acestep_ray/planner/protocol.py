"""The interface of every planner engine: mock, transformers (``pt``) and vLLM."""

from collections.abc import AsyncGenerator
from typing import Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acestep_ray.settings.engine_names import PlannerBackend


class PlanParameters(BaseModel):
    """How the language model (LM) has to plan. A job's spec contains all of them.

    A new parameter needs a default: stored jobs, and requests of an older runner, do not have it.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    model: str = Field("", description="LM checkpoint name; empty: the engine's own.")
    planner: str = Field("", description="Name of the planner that was chosen at submit.")
    backend: PlannerBackend | None = Field(
        None, description="Engine of that planner. None: it was not noted."
    )
    infer_type: Literal["dit", "llm_dit"] = Field(
        "llm_dit", description="dit: metadata only; llm_dit: metadata and audio codes."
    )
    temperature: float = Field(
        0.6, ge=0, le=2, description="Randomness; 0 always takes the most likely token."
    )
    cfg_scale: float = Field(1.0, ge=0, le=20, description="Classifier-free guidance, on above 1.")
    negative_prompt: str = Field("NO USER INPUT", description="Text that guidance leads away from.")
    use_cot_caption: bool = Field(
        False,
        description="Whether the LM writes a new caption, for its codes and for the decoder.",
    )
    top_k: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="Most likely tokens to choose from. 0 and None: all.",
    )
    top_p: float | None = Field(
        None,
        ge=0,
        description="Total probability of the tokens to choose from. 1 and above, and None: all.",
    )
    repetition_penalty: float = Field(
        1.0, gt=0, le=2, description="Above 1 the LM repeats itself less."
    )


class PlanRequest(PlanParameters):
    """What the planner needs of a job: the parameters, the song, the job's id and attempt. Every
    value was checked when the job was accepted."""

    job_id: str
    attempt: int
    caption: str
    lyrics: str
    vocal_language: str = "en"
    # Values of the user; they are forced into the metadata and returned unchanged.
    bpm: int | None = Field(None, ge=30, le=300)
    key_scale: str = ""
    time_signature: str = ""
    duration: float | None = Field(None, ge=10, le=600, description="Seconds.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Of the first take.")
    max_duration: float = Field(
        600.0, ge=10, le=600, description="Longest song that the LM may choose, seconds."
    )

    def checked(self) -> Self:
        """The request itself. Raises PlannerError if a field has an illegal value: a request that
        was built or sent without a check must not reach an engine that serves other jobs too."""
        try:
            return self.model_validate(dict(self), strict=True)
        except ValidationError as error:
            (field, *_), message = error.errors()[0]["loc"], error.errors()[0]["msg"]
            raise PlannerError(f"The plan cannot be made: {field}: {message}.") from None


class Metadata(BaseModel):
    """Metadata that the grammar of the LM allows."""

    model_config = ConfigDict(frozen=True)

    bpm: int
    caption: str | None = Field(description="The LM's wording; None where it was not to write one.")
    duration: int = Field(description="Seconds, whole, as the LM writes it.")
    keyscale: str
    language: str
    timesignature: str = Field(description="2, 3, 4 or 6.")


class Plan(BaseModel):
    """The LM's metadata and codes. ``codes`` is empty for ``infer_type="dit"``."""

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
    """Sent at the start of each stage (step 0) and then a few times per second. An engine that
    makes plans one by one also sends ``waiting``, with the same meaning as in DecodeProgress."""

    model_config = ConfigDict(frozen=True)

    stage: Literal["waiting", "metadata", "codes"]
    step: int
    total: int


class PlannerDescription(BaseModel):
    """What is deployed, for ``/v1/models`` and ``/health``."""

    model_config = ConfigDict(frozen=True)

    engine: PlannerBackend
    models: tuple[str, ...]
    mock: bool
    deployment: str = Field("", description="Name of the planner, where it is deployed.")


class PlannerError(Exception):
    """The plan could not be made. The message is one sentence that a client may read."""


class EngineDied(Exception):
    """The engine has died or is closing: no job is the cause, and each goes to another replica."""


class EngineGone(Exception):
    """The engine had died before it received the plan; the plan was not begun."""


class PlannerEngine(Protocol):
    """An engine that makes plans."""

    def describe(self) -> PlannerDescription:
        """What this engine serves."""
        ...

    def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """Plan one job. Yields ``waiting`` if the job has to wait, its first progress when the work
        really starts, more progress, and a Plan at the end.

        Closing the iterator (or cancelling the task that reads it) stops the work within one token
        batch. Raises PlannerError and EngineDied.
        """
        ...

    async def check(self) -> None:
        """Raise EngineDied if the engine can no longer plan and must be replaced. It may be warmed
        up first, so the engine is ready when this has returned."""
        ...

    async def close(self) -> None:
        """Release everything that the engine holds. Plans under way end, completed or not."""
        ...
