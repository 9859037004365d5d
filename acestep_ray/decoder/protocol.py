"""What every decoder engine is: mock and diffusers are siblings behind this."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.settings.engines import DecoderEngineName
from acestep_ray.timebase import Samples

Task = Literal["text2music", "cover", "repaint", "lego", "extract", "complete"]
TASKS: tuple[Task, ...] = get_args(Task)
"""Every task, in the order in which they are shown."""


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


class DecodeRequest(BaseModel):
    """What the decoder needs of a job. Every value has been checked at the door."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    attempt: int
    task: Task
    caption: str
    lyrics: str
    vocal_language: str
    instruction: str = Field("", description="Empty: the task's own.")
    bpm: int | None
    key_scale: str = Field(description='As the model spells it ("F# minor"), or empty.')
    time_signature: str = Field(description='"2", "3", "4", "6" or empty.')
    seconds: float = Field(
        description="Length asked for; codes and, for source tasks, the source override it."
    )
    codes: tuple[tuple[int, ...], ...] = Field(
        (), description="Audio codes: none, one for all takes, or one a take."
    )
    seeds: tuple[int, ...] = Field(description="One a take, 0..2**32-1.")
    steps: int
    guidance_scale: float
    shift: float = 3.0
    cfg_interval: tuple[float, float] = (0.0, 1.0)
    cover_strength: float = 1.0
    repaint_start: float = 0.0
    repaint_end: float | None = None
    track_name: str = ""
    track_classes: tuple[str, ...] = ()
    use_tiled_decode: bool = True
    source: SourceAudio | None = None
    reference: SourceAudio | None = None
    audio_format: str = "mp3"
    model: str = Field("", description="Decoder model name; empty: the engine's own.")


@dataclass(frozen=True)
class Sources:
    """The request's audio, read: [samples, channels] float32 at its own rate; None where none."""

    source: Samples | None = None
    source_rate: int = 0
    reference: Samples | None = None
    reference_rate: int = 0


@dataclass(frozen=True)
class RenderedTake:
    """One take as an engine yields it: [samples, 2] float32 at 48 kHz, at its final level."""

    index: int
    seed: int
    samples: Samples
    warnings: tuple[str, ...] = ()


class DecoderDescription(BaseModel):
    """What is deployed, for ``/v1/models`` and ``/health``."""

    model_config = ConfigDict(frozen=True)

    engine: DecoderEngineName
    model: str
    tasks: tuple[Task, ...]
    turbo: bool = Field(description="Ignores guidance_scale; warns above 20 steps.")
    mock: bool
    device: str

    @property
    def recommended_steps(self) -> int:
        """Diffusion steps that the publisher names for the model's kind: turbo, or base and SFT."""
        return 8 if self.turbo else 50


@dataclass(frozen=True)
class DeviceMemory:
    """In bytes, of a CUDA device."""

    allocated: int
    """Held by tensors now: between jobs, the weights."""
    peak: int
    """Most that tensors held since the last job began."""
    reserved: int
    """Taken from the device by this process."""
    free: int
    total: int


class DecoderError(Exception):
    """The takes could not be made. The message is one sentence that a client may read."""


class OutOfMemoryError(DecoderError):
    """The device's memory did not suffice."""


class DecodeCancelled(Exception):
    """Raised by ``report`` into the engine when the job is no longer this attempt's."""


Report = Callable[[str, int, int], None]
"""``report(stage, step, total)``: called before the first step and after every one."""


class DecoderEngine(Protocol):
    """One way to be a decoder. Blocking: the deployment runs it in a thread, one job at a time."""

    def describe(self) -> DecoderDescription:
        """What this engine serves."""
        ...

    def generate(
        self, request: DecodeRequest, sources: Sources, report: Report
    ) -> Iterator[RenderedTake]:
        """Yield the takes of one job in order, each as soon as it is ready.

        Calls ``report`` between steps and lets what it raises (DecodeCancelled) through. Raises
        DecoderError, OutOfMemoryError.
        """
        ...

    def free_memory(self) -> None:
        """Give back cached device memory, after an OutOfMemoryError."""
        ...

    def memory(self) -> DeviceMemory | None:
        """How full the device is, with the last job's peak; None where that is not told."""
        ...


SOURCE_TASKS = frozenset({"cover", "repaint", "lego", "extract", "complete"})


WINDOW_TASKS = frozenset({"repaint", "lego"})
