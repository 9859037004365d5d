"""What a job asks for: the request after every check, with its seeds fixed. Stored whole."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.decoder.protocol import SourceAudio, Task


class LmSpec(BaseModel):
    """How the 5Hz language model is to plan the job."""

    model_config = ConfigDict(frozen=True)

    model: str = ""
    backend: Literal["mock", "pt", "vllm"]
    infer_type: Literal["dit", "llm_dit"]
    temperature: float
    cfg_scale: float
    negative_prompt: str
    top_k: int | None
    top_p: float | None
    repetition_penalty: float
    planner: str = Field("", description="Name of the planner that was chosen at submit.")


class JobSpec(BaseModel):
    """One accepted request."""

    model_config = ConfigDict(frozen=True)

    task: Task
    caption: str
    lyrics: str
    vocal_language: str
    instruction: str = ""
    bpm: int | None
    key_scale: str
    time_signature: str
    duration: float | None = Field(description="Seconds; None: the LM's, the estimate, or default.")
    codes: tuple[tuple[int, ...], ...] = ()
    seeds: tuple[int, ...]
    steps: int
    guidance_scale: float
    shift: float
    cfg_interval: tuple[float, float]
    cover_strength: float
    repaint_start: float
    repaint_end: float | None
    track_name: str
    track_classes: tuple[str, ...]
    use_tiled_decode: bool
    use_cot_caption: bool
    source: SourceAudio | None
    reference: SourceAudio | None
    audio_format: Literal["mp3", "wav", "flac", "opus", "ogg"]
    model: str
    lm: LmSpec | None = Field(description="None: the LM is not asked.")
    warnings: tuple[str, ...] = ()

    @property
    def needs_plan(self) -> bool:
        """Whether the planner has work to do for it."""
        return self.lm is not None
