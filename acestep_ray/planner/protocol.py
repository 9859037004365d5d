"""The interface of every planner engine: mock, transformers (``pt``) and vLLM."""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, ClassVar, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from acestep_ray.planner.codes import MAX_CODE
from acestep_ray.settings.engine_names import PlannerBackend
from acestep_ray.settings.mistakes import in_words

GREEDY = 1e-5
"""Temperatures below this count as 0."""


class Writing(BaseModel):
    """What the LM writes before it plans a song: the song's text."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["sample", "format"] = Field(
        description="sample: caption and lyrics from a short description; format: the caption and "
        "the lyrics of the request, in the form that suits the models."
    )
    query: str = Field("", description="The description; used for sample.")
    instrumental: bool = Field(False, description="Whether to write no lyrics; used for sample.")


class PlanParameters(BaseModel):
    """How the language model (LM) has to plan. A job's spec contains all of them.

    A new parameter needs a default: stored jobs, and requests of an older runner, do not have it.
    """

    # Errors go to the log, which must not hold users' texts.
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

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
    use_cot_language: bool | None = Field(
        None,
        description="Whether the LM chooses the language in its metadata, which its codes follow. "
        "False: it is the request's. None: it is the request's unless that is en, the default of "
        "clients, or unknown. The decoder gets the same language (song_language.py).",
    )
    writing: Writing | None = Field(
        None, description="What the LM writes first. None: caption and lyrics are used as sent."
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
    plan_per_take: bool = Field(
        False,
        description="Whether each take has audio codes of its own, from its own seed. False: all "
        "takes share those of the first one.",
    )


class CheckedRequest(BaseModel):
    """A request that can be checked again by the engine that gets it."""

    refused: ClassVar[str]
    """How the message about an illegal value begins."""

    def checked(self) -> Self:
        """The request itself. Raises PlannerError if a field has an illegal value: a request that
        was built or sent without a check must not reach an engine that serves other jobs too."""
        try:
            return self.model_validate(dict(self), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            why = in_words(first, type(self))
            raise PlannerError(f"{self.refused}: {first['loc'][0]}: {why}.") from None


class PlanRequest(PlanParameters, CheckedRequest):
    """What the planner needs of a job: the parameters, the song, the job's id and attempt. Every
    value was checked when the job was accepted."""

    refused = "The plan cannot be made"

    job_id: str
    attempt: int
    request_id: str = Field("", description="As of JobSpec; so is trace.")
    trace: str = ""
    caption: str
    lyrics: str
    vocal_language: str = "en"
    # Values of the user; they are forced into the metadata and returned unchanged.
    bpm: int | None = Field(None, ge=30, le=300)
    key_scale: str = ""
    time_signature: str = ""
    duration: float | None = Field(None, ge=10, le=600, description="Seconds.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Of the first take.")
    seeds: tuple[Annotated[int, Field(ge=0, le=2**32 - 1)], ...] = Field(
        (),
        description="Seeds of all takes, if each has audio codes of its own; the metadata are "
        "written once, from ``seed``. Empty: one sequence of codes, from ``seed``.",
    )
    max_duration: float = Field(
        600.0, ge=10, le=600, description="Longest song that the LM may choose, seconds."
    )

    @property
    def code_seeds(self) -> tuple[int, ...]:
        """The seeds for which codes are written: each once, and only one if they do not matter."""
        if not self.seeds or self.temperature < GREEDY:
            return (self.seed,)
        return tuple(dict.fromkeys(self.seeds))

    def by_take(self, written: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
        """Plan.take_codes, from the sequences that were ``written`` for ``code_seeds``."""
        if not written:
            return ()
        of_seed = dict(zip(self.code_seeds, written, strict=True))
        return tuple(of_seed.get(seed, written[0]) for seed in self.seeds)


class Metadata(BaseModel):
    """Metadata that the grammar of the LM allows."""

    model_config = ConfigDict(frozen=True)

    bpm: int
    caption: str | None = Field(description="The LM's wording; None where it was not to write one.")
    duration: int = Field(description="Seconds, whole, as the LM writes it.")
    keyscale: str
    language: str
    timesignature: str = Field(description="2, 3, 4 or 6.")


class WriteRequest(CheckedRequest):
    """What the LM has to write: a song's caption, lyrics and metadata."""

    # Errors go to the log, which must not hold users' texts.
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, hide_input_in_errors=True)
    refused = "The text cannot be written"

    kind: Literal["sample", "format", "understand"] = Field(
        description="See Writing; understand: the text of audio codes."
    )
    model: str = Field("", description="LM checkpoint name; empty: the engine's own.")
    query: str = Field("", description="A short description of the song; for sample.")
    instrumental: bool = Field(False, description="Whether to write no lyrics; for sample.")
    caption: str = Field("", description="For format.")
    lyrics: str = Field("", description="For format.")
    codes: tuple[Annotated[int, Field(ge=0, le=MAX_CODE)], ...] = Field(
        (), description="Audio codes, 0..63999; for understand."
    )
    # Values of the user; they are forced into the metadata and returned unchanged.
    bpm: int | None = Field(None, ge=30, le=300)
    key_scale: str = ""
    time_signature: str = ""
    duration: float | None = Field(None, ge=10, le=600, description="Seconds.")
    vocal_language: str = Field(
        "", description="Empty: the one that the query names, else the LM chooses."
    )
    max_duration: float = Field(
        600.0, ge=10, le=600, description="Longest song that the LM may choose, seconds."
    )
    codes_after: int = Field(
        0,
        ge=0,
        le=3000,
        description="Audio codes for which the context must have room after this text: those of "
        "the given duration, or of the shortest song. 0: none are made.",
    )
    seed: int = Field(0, ge=0, le=2**32 - 1)
    temperature: float = Field(
        0.85, ge=0, le=2, description="As of PlanParameters; so are top_k and top_p."
    )
    top_k: int | None = Field(None, ge=0, le=2**31 - 1)
    top_p: float | None = Field(None, ge=0)
    request_id: str = Field("", description="Of the HTTP request that waits for the text.")
    trace: str = Field("", description="Traceparent of the span that the text belongs to.")


class SongText(BaseModel):
    """A song's text, as the LM wrote it.

    Plain text: without the model's own tokens, control characters and U+FFFD; the caption in one
    line.
    """

    model_config = ConfigDict(frozen=True)

    caption: str
    lyrics: str = Field(description="``[Instrumental]`` for a song without words.")
    metadata: Metadata = Field(description="Its caption is that of the text.")
    model: str = Field(description="LM checkpoint that wrote it.")
    elapsed: float = Field(description="Time it took, seconds.")
    mock: bool = False


class Plan(BaseModel):
    """The LM's metadata and codes. There are no codes for ``infer_type="dit"``."""

    # Errors go to the log, which must not hold users' texts.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    metadata: Metadata
    codes: tuple[int, ...] = Field(
        (),
        description="Audio codes, 0..63999, 5 a second; floor(5 * seconds) of them. Those of the "
        "first take, if each has its own.",
    )
    take_codes: tuple[tuple[int, ...], ...] = Field(
        (),
        description="The codes of every take, if each has its own. Empty: ``codes`` are those of "
        "all takes.",
    )
    seconds: float = Field(description="Length that the codes were made for, seconds.")
    model: str = Field(description="LM checkpoint that wrote it.")
    elapsed: float = Field(description="Time it took, seconds; with the writing of ``text``.")
    mock: bool = False
    text: SongText | None = Field(
        None, description="What the LM wrote first. None: it was not to write."
    )

    @property
    def sequences(self) -> tuple[tuple[int, ...], ...]:
        """The codes as the decoder gets them: one sequence per take, one for all, or none."""
        return self.take_codes or ((self.codes,) if self.codes else ())


class PlanProgress(BaseModel):
    """Sent at the start of each stage (step 0) and then a few times per second. The steps of
    ``codes`` are the codes of all takes together. An engine that makes plans one by one also sends
    ``waiting``, with the same meaning as in DecodeProgress."""

    model_config = ConfigDict(frozen=True)

    stage: Literal["waiting", "writing", "metadata", "codes"]
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
    """An engine that makes plans and writes the text of songs."""

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

    def write(self, request: WriteRequest) -> AsyncGenerator[PlanProgress | SongText, None]:
        """Write a song's text. Yields ``waiting`` as plan does, progress of the stage ``writing``
        (tokens that are written, of the most that may be), and a SongText at the end.

        Stops as plan does. Raises PlannerError and EngineDied.
        """
        ...

    async def check(self) -> None:
        """Raise EngineDied if the engine can no longer plan and must be replaced. It may be warmed
        up first, so the engine is ready when this has returned."""
        ...

    async def close(self) -> None:
        """Release everything that the engine holds. Plans under way end, completed or not."""
        ...
