"""What the service answers, as typed objects.

Members that a newer service adds are ignored, and members that an older one lacks have a default.
Times are epoch seconds, lengths seconds.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """An answer, or a part of one. It cannot be changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Progress(Model):
    """How far a running job is.

    ``stage``: writing, metadata, codes, waiting, encoding, diffusion, vae or storing. ``step`` of
    ``total``: steps of the stage that are done. ``fraction``: share of the whole job, 0 to 1.
    """

    stage: str
    step: int = 0
    total: int = 0
    fraction: float = 0.0


class Scores(Model):
    """How clearly the lyrics of a take are sung one after another, 0 to 1 each."""

    dit_score: float = 0.0
    """In the finished take."""
    lm_score: float = 0.0
    """In noise: what the texts and codes alone make the model do."""


class Result(Model):
    """What a succeeded job made. What the language model wrote is None if it did not run."""

    audio_paths: list[str]
    """Where the takes are, for ``Job.download``."""
    first_audio_path: str | None = None
    second_audio_path: str | None = None
    generation_info: str = ""
    status_message: str = ""
    seed_value: str = ""
    """The seeds, with commas between: sent as ``seed``, they make the same takes."""
    retake_seed_value: str | None = None
    metas: dict[str, Any] = {}
    bpm: int | None = None
    duration: float | None = None
    take_seconds: float | None = None
    """Length of each take, whether the language model ran or not; None from an older service."""
    genres: str | None = None
    keyscale: str | None = None
    timesignature: str | None = None
    audio_codes: str | None = None
    """Those of the first take."""
    take_audio_codes: list[str] | None = None
    """Those of every take: sent as ``audio_code_string``, they make the same takes."""
    lm_caption: str | None = None
    lm_lyrics: str | None = None
    vocal_language: str | None = None
    lrc: list[str | None] | None = None
    scores: list[Scores | None] | None = None


class JobState(Model):
    """A job at one moment.

    A state that came from a submit has only ``job_id``, ``status``, ``queue_position`` and
    ``warnings``. A list of jobs has no ``result``, no ``warnings``, and only the beginning of the
    ``caption``.
    """

    job_id: str
    status: str
    """queued, running, succeeded or failed."""
    queue_position: int = 0
    """1 is next; 0 is running or ended."""
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    """When an ended job and its audio are removed."""
    eta_seconds: float | None = None
    """Estimated wait that is left, while the job is queued."""
    progress: Progress | None = None
    attempts: int = 0
    result: Result | None = None
    warnings: list[str] = []
    error: str | None = None
    """Why it failed: one sentence."""
    error_code: str | None = None
    """Why it failed: a stable name (docs/api.md)."""
    task_type: str | None = None
    caption: str | None = None
    """As it was sent; the result may have the language model's."""
    takes: int | None = None
    """How many are asked for."""

    @property
    def ended(self) -> bool:
        """Whether the job has succeeded or failed."""
        return self.status in ("succeeded", "failed")


class JobPage(Model):
    """Jobs of a list, and where it goes on (None: at its end)."""

    jobs: list[JobState]
    next_cursor: str | None = None


class Delivery(Model):
    """A message to the webhook of a job. ``state``: pending, delivered or failed."""

    delivery_id: str
    type: str
    state: str
    created_at: float
    tries: int = 0
    last_try_at: float | None = None
    next_try_at: float | None = None
    http_status: int | None = None
    error: str | None = None


class Deliveries(Model):
    """The messages to the webhook of a job, oldest first."""

    deliveries: list[Delivery]


class Health(Model):
    """The process answers."""

    status: str
    service: str = ""
    version: str = ""
    mock: bool = False
    """Whether an engine is a mock."""
    planner: str = ""
    decoder: str = ""


class Ready(Model):
    """Whether the engines are up; if not, ``reasons`` has a sentence for each cause."""

    ready: bool
    reasons: list[str] = []


class Decoder(Model):
    """A deployed decoder model, for the field ``model``."""

    name: str
    default: bool = False
    engine: str = ""
    mock: bool = False
    turbo: bool = False
    recommended_steps: int = 0
    recommended_shift: float = 0
    xl: bool = False
    lego_sft: bool = False
    lrc: bool = False
    scores: bool = False
    device: str = ""
    state: str = "ready"
    tasks: list[str] = []
    ignores: list[str] = []


class Planner(Model):
    """A deployed language model, for the field ``lm_model_path``."""

    name: str
    default: bool = False
    engine: str = ""
    mock: bool = False
    state: str = ""
    """ready, starting or idle."""


class Limits(Model):
    """What a request may ask for. ``duration`` in seconds; ``queue``: jobs that may wait."""

    duration: float
    batch_size: int
    upload_bytes: int
    text_bytes: int
    queue: int


class Defaults(Model):
    """What a request gets that does not name a length (seconds) or a number of takes."""

    duration: float
    batch_size: int


class Models(Model):
    """What is deployed, and what it supports."""

    decoders: list[Decoder] = []
    planners: list[Planner] = []
    audio_formats: list[str] = []
    languages: list[str] = []
    tracks: list[str] = []
    limits: Limits
    defaults: Defaults


class Adapter(Model):
    """A LoRA or LoKr adapter. ``models``: deployed decoder models that it can be used with.
    ``problem``: why it cannot be used; None: it can."""

    name: str
    kind: str | None = None
    rank: int | None = None
    bytes: int = 0
    models: list[str] = []
    problem: str | None = None


class Adapters(Model):
    """The adapters there are. ``default``: that of songs that name none; None: there is none."""

    adapters: list[Adapter] = []
    default: str | None = None
    default_scale: float | None = None


class Capacity(Model):
    """Replicas that run, and jobs that they can hold."""

    planners: int = 0
    decoders: int = 0
    plan_slots: int = 0
    decode_slots: int = 0


class Stats(Model):
    """Counts of jobs, and figures. ``avg_job_seconds``: how long the last jobs took.
    ``work_per_second``: seconds of audio of all takes x steps that a decoder made in a second.
    ``plan_seconds``: how long a plan of the LM took. None until they were measured."""

    queued: int
    queued_for_plan: int = 0
    running: int
    succeeded: int = 0
    failed: int = 0
    avg_job_seconds: float = 0.0
    work_per_second: float | None = None
    plan_seconds: float | None = None
    queue_maxsize: int = 0
    capacity: Capacity = Capacity()
