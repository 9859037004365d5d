"""The interface of every decoder engine: mock and diffusers implement it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.adapters.library import LocalAdapter
from acestep_ray.formats import ALWAYS_WRITTEN, AudioFormatName
from acestep_ray.settings.engine_names import DecoderBackend, Quantization
from acestep_ray.timebase import Samples

Task = Literal["text2music", "cover", "cover-nofsq", "repaint", "lego", "extract", "complete"]
TASKS: tuple[Task, ...] = get_args(Task)
"""Every task, in the order in which they are listed."""
DcwMode = Literal["low", "high", "double", "pix"]
DcwWavelet = Literal["haar", "db1"]
"""Two names of the same wavelet."""
InferMethod = Literal["ode", "sde"]
SamplerMode = Literal["euler", "heun"]
GuidanceVariant = Literal["apg_classic", "cfg", "adg", "adg_w_norm", "adg_wo_clip"]
RepaintMode = Literal["conservative", "balanced", "aggressive"]
ChunkMaskMode = Literal["auto", "explicit"]


class SourceAudio(BaseModel):
    """An ingested file: FLAC in artifact storage, at the client's own rate and channels."""

    model_config = ConfigDict(frozen=True)

    key: str
    sample_rate: int = Field(description="Hz.")
    channels: int
    samples: int = Field(description="Samples a channel.")

    @property
    def seconds(self) -> float:
        """Length."""
        return self.samples / self.sample_rate


class AdapterUse(BaseModel):
    """An adapter (LoRA, LoKr) that a job uses."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="One of GET /v1/adapters.")
    scale: float = Field(1.0, description="How strong it is: 0 not at all, 1 as it was trained.")


class DecodeParameters(BaseModel):
    """What to make, as the request specifies it. A job's spec holds the parameters whole.

    A new parameter needs a default: stored jobs, and requests of an older runner, do not have it.
    """

    # Errors go to the log, which must not hold users' texts.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    task: Task = Field("text2music", description="What to make.")
    caption: str = Field(description="Style, mood, instruments and voice of the music.")
    global_caption: str = Field(
        "", description="What the whole song is like; read by models with lego_sft only."
    )
    lyrics: str = Field("", description="Text to sing, with section tags; empty: instrumental.")
    vocal_language: str = Field("en", description="Language code of the lyrics, such as en.")
    instruction: str = Field("", description="Instruction line of the prompt; empty: the task's.")
    bpm: int | None = Field(
        None, description="Tempo, beats per minute, 30 to 300. None: the LM's, or the model's own."
    )
    key_scale: str = Field(
        "", description='Key as the model writes it ("F# minor"); empty as bpm None.'
    )
    time_signature: str = Field("", description='"2", "3", "4" or "6"; empty as bpm None.')
    duration: float | None = Field(
        None,
        description="Length of a take, seconds. None: the LM's, the estimate, or the default.",
    )
    codes: tuple[tuple[int, ...], ...] = Field(
        (), description="Audio codes, 5 per second: none, one sequence for all takes, or one each."
    )
    seeds: tuple[int, ...] = Field(description="One per take, 0 to 2**32 - 1.")
    steps: int = Field(description="Diffusion steps, 1 to 200.")
    guidance_scale: float = Field(description="Guidance by the caption, 0 to 30; turbo: not used.")
    shift: float = Field(3.0, description="Shift of the time steps, 1 to 5.")
    cfg_interval: tuple[float, float] = Field(
        (0.0, 1.0),
        description="Guidance is on while the first <= t <= the second; t falls from 1 to 0.",
    )
    cover_strength: float = Field(
        1.0, description="Share of the steps that follow the source or the codes, 0 to 1."
    )
    infer_method: InferMethod = Field(
        "ode", description="Whether steps follow the velocity (ode) or go through new noise (sde)."
    )
    sampler_mode: SamplerMode = Field("euler", description="Kind of the steps of ode.")
    timesteps: tuple[float, ...] = Field(
        (),
        description="Times of the steps, falling from at most 1, without the 0 at the end. Empty: "
        "they follow from steps and shift. ``steps`` is their number.",
    )
    use_adg: bool = Field(False, description="Guidance by angles instead of projections.")
    guidance_variant: GuidanceVariant = Field(
        "apg_classic",
        description="How guidance combines what the model says with and without the texts; with "
        "use_adg, apg_classic means adg.",
    )
    velocity_norm_threshold: float = Field(
        0.0, description="Limit of a velocity's norm, in norms of the latents; 0: no limit."
    )
    velocity_ema_factor: float = Field(
        0.0, description="Share of the step before in a step's velocity, 0 to 1."
    )
    latent_shift: float = Field(0.0, description="Added to the final latents.")
    latent_rescale: float = Field(1.0, description="Factor of the final latents, before the shift.")
    dcw_enabled: bool | None = Field(
        None,
        description="Whether each step is corrected in the wavelet domain (DCW). None: by a turbo "
        "model.",
    )
    dcw_mode: DcwMode = Field("double", description="Which parts DCW corrects.")
    dcw_scaler: float = Field(0.05, description="Strength of DCW, of the slow part if double.")
    dcw_high_scaler: float = Field(0.02, description="Of the fast part, if dcw_mode is double.")
    dcw_wavelet: DcwWavelet = Field("haar", description="Wavelet of DCW.")
    repaint_start: float = Field(
        0.0, description="Start of the window, seconds of the source; below 0: before the source."
    )
    repaint_end: float | None = Field(
        None, description="End of the window, seconds of the source. None: the end of the source."
    )
    repaint_mode: RepaintMode = Field(
        "balanced", description="How closely a repaint keeps to its source."
    )
    repaint_strength: float = Field(
        0.5, description="How free a balanced repaint is, 0 (conservative) to 1."
    )
    chunk_mask_mode: ChunkMaskMode | None = Field(
        None,
        description="Whether the model is shown the window (explicit), or that everything may "
        "change (auto). None: see shows_window.",
    )
    cover_noise_strength: float = Field(
        0.0, description="How much of the source is in the latents at the first step, 0 to 1."
    )
    retake_seeds: tuple[int, ...] = Field(
        (), description="Seeds of the noise that is mixed in; one per take, or none."
    )
    retake_variance: float = Field(
        0.0, description="How much of that noise: 0 none, 1 nothing else."
    )
    flow_edit_morph: bool = Field(
        False, description="Whether a source is moved from one text to another."
    )
    flow_edit_source_caption: str = Field("", description="Caption of the source as it is.")
    flow_edit_source_lyrics: str = Field("", description="Lyrics of the source as it is.")
    flow_edit_n_min: float = Field(0.0, description="Share of the steps that are left out, 0 to 1.")
    flow_edit_n_max: float = Field(
        1.0, description="Share of the steps after which the new text goes on alone."
    )
    flow_edit_n_avg: int = Field(1, description="Noises that are compared in a step, 1 to 8.")
    track_name: str = Field("", description="Track to add (lego) or to take out (extract).")
    track_classes: tuple[str, ...] = Field((), description="Tracks to add (complete).")
    use_tiled_decode: bool = Field(
        True, description="Whether the VAE decodes in tiles: less memory."
    )
    source: SourceAudio | None = Field(None, description="Audio to change. None: there is none.")
    reference: SourceAudio | None = Field(
        None, description="Audio to imitate. None: there is none."
    )
    adapters: tuple[AdapterUse, ...] = Field(
        (), description="Adapters that change the model for this job."
    )
    lrc: bool = Field(False, description="Whether to find when each line of a take is sung.")
    scores: bool = Field(False, description="Whether to measure how clearly the lyrics are sung.")
    audio_format: AudioFormatName = Field("mp3", description="File type of the takes.")
    model: str = Field("", description="Decoder model that the job needs; empty: any.")
    decoder: str = Field(
        "", description="Deployment that serves it, of several decoders; empty: the only one."
    )

    @property
    def shows_window(self) -> bool:
        """Whether the model is shown where the window is: if nothing was asked, in all cases except
        a repaint that is not aggressive, as upstream's clients have it."""
        if self.chunk_mask_mode is not None:
            return self.chunk_mask_mode == "explicit"
        return self.task != "repaint" or self.repaint_mode == "aggressive"

    @property
    def guidance(self) -> GuidanceVariant:
        """The kind of guidance that is used."""
        if self.edits_flow:
            return "apg_classic"
        by_angles = self.use_adg and self.guidance_variant == "apg_classic"
        return "adg" if by_angles else self.guidance_variant

    @property
    def edits_flow(self) -> bool:
        """Whether the takes are made by flow-edit."""
        return self.flow_edit_morph and self.task in MORPH_TASKS

    @property
    def names_window(self) -> bool:
        """Whether the caption of a model with lego_sft says that the window is shown."""
        asked = self.chunk_mask_mode == "explicit"
        return asked or (self.task in WINDOW_TASKS and self.shows_window)

    @property
    def uses_heun(self) -> bool:
        """Whether the model is asked twice in a step."""
        return self.sampler_mode == "heun" and self.infer_method == "ode" and not self.edits_flow

    def uses_dcw(self, *, turbo: bool) -> bool:
        """Whether a turbo model, or another one, corrects its steps by DCW."""
        wanted = turbo if self.dcw_enabled is None else self.dcw_enabled
        strong = self.dcw_scaler != 0 or (self.dcw_mode == "double" and self.dcw_high_scaler != 0)
        return wanted and strong and not self.edits_flow


class DecodeRequest(DecodeParameters):
    """What the decoder needs to know about a job: the parameters, completed by the plan, and which
    job and attempt the takes belong to. Every value was checked when the job was accepted."""

    job_id: str
    attempt: int
    request_id: str = Field("", description="As of JobSpec; so is trace.")
    trace: str = ""
    seconds: float = Field(
        description="Length of a take; codes and, for source tasks, the source override it."
    )


@dataclass(frozen=True)
class Sources:
    """What a request names, read. Audio is [samples, channels] float32 at its own rate; None: none.

    ``source_digest``, ``reference_digest``: the same for the same content; empty: not known.
    ``adapters``: those of the request, by name.
    """

    source: Samples | None = None
    source_rate: int = 0
    reference: Samples | None = None
    reference_rate: int = 0
    source_digest: str = ""
    reference_digest: str = ""
    adapters: Mapping[str, LocalAdapter] = field(default_factory=dict)


class TakeScores(BaseModel):
    """How clearly the lyrics of a take are sung one after another, 0 to 1 each."""

    model_config = ConfigDict(frozen=True)

    dit_score: float = Field(ge=0, le=1, description="In the finished take.", examples=[0.61])
    lm_score: float = Field(
        ge=0,
        le=1,
        description="In noise: what the audio codes and texts alone make the model do.",
        examples=[0.48],
    )


@dataclass(frozen=True)
class RenderedTake:
    """One take as an engine yields it: [samples, 2] float32 at 48 kHz, at its final level."""

    index: int
    seed: int
    samples: Samples
    warnings: tuple[str, ...] = ()
    lrc: str | None = None
    """When each line of the lyrics begins, in the LRC format."""
    scores: TakeScores | None = None


class DecoderDescription(BaseModel):
    """What is deployed, for ``/v1/models`` and ``/health``."""

    model_config = ConfigDict(frozen=True)

    engine: DecoderBackend
    model: str
    tasks: tuple[Task, ...]
    turbo: bool = Field(description="Ignores guidance_scale; warns above 20 steps.")
    mock: bool
    device: str
    audio_formats: tuple[AudioFormatName, ...] = Field(
        ALWAYS_WRITTEN, description="What its machine can write."
    )
    xl: bool = Field(False, description="Whether it is one of the larger models (4 to 5 B).")
    lego_sft: bool = Field(
        False, description="Whether it makes single tracks, and reads global_caption."
    )
    lrc: bool = Field(False, description="Whether it knows when lines of the lyrics are sung.")
    scores: bool = Field(False, description="Whether it knows how clearly lyrics are sung.")
    adapters: bool = Field(False, description="Whether it can use adapters (LoRA, LoKr).")
    width: int | None = Field(
        None,
        description="Numbers per frame in its layers: an adapter is made for one width. None: any.",
    )
    quantization: Quantization = Field(
        "", description="How its transformer's weights are kept; empty: in 16 or 32 bits."
    )
    deployment: str = Field("", description="Deployment that serves it.")
    adapter_names: tuple[str, ...] = Field(
        ("*",), description="Which adapters are for it: names, with wildcards."
    )

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Also reads what a replica of earlier code pickled, without the later fields."""
        super().__setstate__(state)
        for name, info in type(self).model_fields.items():
            self.__dict__.setdefault(name, info.default)

    @property
    def recommended_steps(self) -> int:
        """Diffusion steps that the publisher recommends for the model: turbo, or base and SFT.
        They are made if a request names no number."""
        return 8 if self.turbo else 50

    @property
    def recommended_shift(self) -> float:
        """Shift of the time steps that the model was made for, or upstream's default. It is used if
        a request names none."""
        return 1.0 if "shift1" in self.model.lower().split("-") else 3.0


@dataclass(frozen=True)
class DeviceMemory:
    """In bytes, of a CUDA device."""

    allocated: int
    """Held by tensors now: between jobs, only the weights."""
    peak: int
    """The most that tensors have held since the last job began."""
    reserved: int
    """Reserved on the device by this process."""
    free: int
    total: int


class DecoderError(Exception):
    """The takes could not be made. The message is one sentence that a client may read."""


class OutOfMemoryError(DecoderError):
    """The device did not have enough memory."""


class DecodeCancelled(Exception):
    """Raised by ``report`` into the engine when this attempt no longer has the job."""


Report = Callable[[str, int, int], None]
"""``report(stage, step, total)``: called before the first step and after every one."""


class DecoderEngine(Protocol):
    """One kind of decoder. Blocking: the deployment runs it in a thread, one job at a time."""

    def describe(self) -> DecoderDescription:
        """What this engine serves."""
        ...

    def generate(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        """Yield the takes of one job in order, each as soon as it is ready.

        Calls ``report`` between steps and passes its exceptions (DecodeCancelled) on. Raises
        DecoderError, OutOfMemoryError.
        """
        ...

    def free_memory(self) -> None:
        """Free cached device memory, after an OutOfMemoryError."""
        ...

    def loaded_adapters(self) -> frozenset[str]:
        """Names of the adapters that it has in memory. May be called from any thread."""
        ...

    def memory(self) -> DeviceMemory | None:
        """How full the device is, with the last job's peak; None if that is not known."""
        ...


SOURCE_TASKS = frozenset({"cover", "cover-nofsq", "repaint", "lego", "extract", "complete"})


COVER_TASKS = frozenset({"cover", "cover-nofsq"})


WINDOW_TASKS = frozenset({"repaint", "lego"})


MORPH_TASKS = COVER_TASKS | {"text2music"}
"""Tasks that flow-edit is for; with it text2music has a source, too."""
