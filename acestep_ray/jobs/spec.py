"""A job's request after every check, with its seeds fixed. Stored as JSON."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.decoder.protocol import SourceAudio, Task
from acestep_ray.formats import AudioFormatName
from acestep_ray.settings.engines import PlannerEngineName


class LmSpec(BaseModel):
    """How the 5Hz language model (LM) plans the job."""

    model_config = ConfigDict(frozen=True)

    model: str = Field("", description="LM checkpoint name; empty: the engine's own.")
    backend: PlannerEngineName = Field(description="Planner engine.")
    infer_type: Literal["dit", "llm_dit"] = Field(
        description="dit: metadata only; llm_dit: metadata and audio codes."
    )
    temperature: float = Field(
        description="Randomness, 0 to 2; 0 always takes the most likely token."
    )
    cfg_scale: float = Field(description="Classifier-free guidance, 0 to 20; on above 1.")
    negative_prompt: str = Field(description="Text that guidance leads away from.")
    top_k: int | None = Field(description="Most likely tokens to choose from. 0 and None: all.")
    top_p: float | None = Field(
        description="Total probability of the tokens to choose from. 1 and above, and None: all."
    )
    repetition_penalty: float = Field(description="Above 0, at most 2; above 1: less repetition.")
    planner: str = Field("", description="Name of the planner that was chosen at submit.")


class JobSpec(BaseModel):
    """One accepted request. A new field needs a default, so that stored jobs can be read."""

    model_config = ConfigDict(frozen=True)

    task: Task = Field(description="What to make, as the request's task_type.")
    caption: str = Field(description="Style, mood, instruments and voice of the music.")
    lyrics: str = Field(description="Text to sing, with section tags; empty: instrumental.")
    vocal_language: str = Field(description="Language code of the lyrics, such as en.")
    instruction: str = Field("", description="Instruction line of the prompt; empty: the task's.")
    bpm: int | None = Field(
        description="Tempo, beats per minute, 30 to 300. None: the LM's, or the decoder's choice."
    )
    key_scale: str = Field(description='Key, such as "C Major"; empty as bpm None.')
    time_signature: str = Field(description='"2", "3", "4" or "6"; empty as bpm None.')
    duration: float | None = Field(
        description="Length of a take, seconds. None: the LM's, the estimate, or the default."
    )
    codes: tuple[tuple[int, ...], ...] = Field(
        (), description="Audio codes, 5 per second: none, one sequence for all takes, or one each."
    )
    seeds: tuple[int, ...] = Field(description="One per take, 0 to 2**32 - 1.")
    steps: int = Field(description="Diffusion steps, 1 to 200.")
    guidance_scale: float = Field(description="Guidance by the caption, 0 to 30; turbo: not used.")
    shift: float = Field(description="Shift of the time steps, 1 to 5.")
    cfg_interval: tuple[float, float] = Field(
        description="Guidance is on while the first <= t <= the second; t falls from 1 to 0."
    )
    cover_strength: float = Field(
        description="Share of the steps that follow the source or the codes, 0 to 1."
    )
    repaint_start: float = Field(
        description="Start of the window, seconds of the source; below 0: before the source."
    )
    repaint_end: float | None = Field(
        description="End of the window, seconds of the source. None: the end of the source."
    )
    track_name: str = Field(description="Track to add (lego) or to take out (extract).")
    track_classes: tuple[str, ...] = Field(description="Tracks to add (complete).")
    use_tiled_decode: bool = Field(description="Whether the VAE decodes in tiles: less memory.")
    use_cot_caption: bool = Field(
        description="Whether the LM writes a new caption, for its codes and for the decoder."
    )
    source: SourceAudio | None = Field(description="Audio to change. None: there is none.")
    reference: SourceAudio | None = Field(description="Audio to imitate. None: there is none.")
    audio_format: AudioFormatName = Field(description="File type of the takes.")
    model: str = Field(description="Decoder model that the job needs; empty: any.")
    lm: LmSpec | None = Field(description="How the LM plans the job. None: without the LM.")
    warnings: tuple[str, ...] = Field((), description="Found when the request was checked.")

    @property
    def needs_plan(self) -> bool:
        """Whether a planner has to make a plan."""
        return self.lm is not None
