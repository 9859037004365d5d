"""What every planner engine is: mock, transformers (``pt``) and vLLM are siblings behind this."""

from collections.abc import AsyncGenerator
from typing import Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acestep_ray.settings.engine_names import PlannerBackend


class PlanParameters(BaseModel):
    """How the language model (LM) is asked to plan. A job's spec holds them whole.

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
    """What the planner needs of a job: the parameters, the song and whose plan it is. Every value
    was checked when the job was accepted."""

    job_id: str
    attempt: int
    caption: str
    lyrics: str
    vocal_language: str = "en"
    # What the user gave; it is forced into the metadata and comes back as given.
    bpm: int | None = Field(None, ge=30, le=300)
    key_scale: str = ""
    time_signature: str = ""
    duration: float | None = Field(None, ge=10, le=600, description="Seconds.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Of the first take.")
    max_duration: float = Field(
        600.0, ge=10, le=600, description="Longest song that the LM may choose, seconds."
    )

    def checked(self) -> Self:
        """Itself. Raises PlannerError where a field is not as promised: what was built or sent
        without a check must not reach an engine that serves others too."""
        try:
            return self.model_validate(dict(self), strict=True)
        except ValidationError as error:
            (field, *_), said = error.errors()[0]["loc"], error.errors()[0]["msg"]
            raise PlannerError(f"The plan cannot be made: {field}: {said}.") from None


class Metadata(BaseModel):
    """Legal metadata as the grammar of the LM has it."""

    model_config = ConfigDict(frozen=True)

    bpm: int
    caption: str | None = Field(description="The LM's wording; None where it was not to write one.")
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
    """Sent at the start of each stage (step 0) and a few times a second after it; ``waiting`` as in
    DecodeProgress, where plans are made one by one."""

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
    """The engine is gone, or going: no job is to blame, and each goes to another replica."""


class EngineGone(Exception):
    """The engine had died before a plan reached it; the plan began nowhere."""


class PlannerEngine(Protocol):
    """One way to be a planner."""

    def describe(self) -> PlannerDescription:
        """What this engine serves."""
        ...

    def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """Plan one job: perhaps that it waits, the first event of its own when work really starts,
        progress, and a Plan at the end.

        Closing the iterator (or cancelling the task that reads it) stops the work within one token
        batch. Raises PlannerError, and EngineDied.
        """
        ...

    async def check(self) -> None:
        """Raise EngineDied where it can plan no more, and must be replaced. May warm it up first,
        so an engine is ready once this has returned."""
        ...

    async def close(self) -> None:
        """Let go of what the engine holds. Plans under way end, whichever way."""
        ...
