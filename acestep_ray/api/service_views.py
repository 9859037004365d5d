"""Responses that are about the service: health, engines, limits, figures."""

from typing import Any

from pydantic import BaseModel, Field

from acestep_ray.api.upstream.envelope import EnvelopeFields
from acestep_ray.api.upstream.views import HealthData, StatsData
from acestep_ray.formats import FORMATS

_JOB_ID = "550e8400-e29b-41d4-a716-446655440000"
_AUDIO = f"/v1/audio/{_JOB_ID}"


class HealthView(EnvelopeFields):
    """The process answers."""

    status: str = Field(description="Always ok.", examples=["ok"])
    service: str = Field(description="Name of this service.", examples=["acestep-ray"])
    version: str = Field(description="Its version.", examples=["0.1.0"])
    mock: bool = Field(description="Whether an engine is a mock.", examples=[True])
    planner: str = Field(
        description="Planner engine; of several, each with a comma between.", examples=["mock"]
    )
    decoder: str = Field(description="Decoder engine.", examples=["mock"])
    data: HealthData = Field(description="The same and more, for upstream's clients.")


class ReadyView(BaseModel):
    """The engines are up."""

    status: str = Field(description="Always ready; else the answer is a 503.", examples=["ready"])
    ready: bool = Field(description="Always true.", examples=[True])
    reasons: list[str] = Field(
        description="Empty; the 503 has in it why not, a sentence each.", examples=[[]]
    )


class DecoderView(BaseModel):
    """A deployed decoder model."""

    name: str = Field(description="For model.", examples=["acestep-v15-turbo"])
    default: bool = Field(description="Used where model is not given.", examples=[True])
    engine: str = Field(description="What runs it.", examples=["mock"])
    mock: bool = Field(description="Whether it stands in for a real model.", examples=[True])
    turbo: bool = Field(description="Made for few steps without guidance.", examples=[True])
    recommended_steps: int = Field(description="inference_steps that it is made for.", examples=[8])
    recommended_shift: float = Field(3.0, description="shift that it is made for.", examples=[3.0])
    xl: bool = Field(False, description="Whether it is one of the larger models.", examples=[False])
    lego_sft: bool = Field(
        False, description="Whether it makes single tracks, by global_caption.", examples=[False]
    )
    lrc: bool = Field(False, description="Whether it can be asked for lrc.", examples=[True])
    scores: bool = Field(False, description="Whether it can be asked for scores.", examples=[True])
    device: str = Field(description="Where it runs.", examples=["cpu"])
    state: str = Field(
        "ready",
        description="ready; starting; or idle: it starts when a job asks for it.",
        examples=["ready"],
    )
    tasks: list[str] = Field(
        description="For task_type.", examples=[["text2music", "cover", "cover-nofsq", "repaint"]]
    )
    ignores: list[str] = Field(
        description="Fields that it does not use.", examples=[["guidance_scale", "use_adg"]]
    )


class PlannerView(BaseModel):
    """A deployed LM checkpoint."""

    name: str = Field(description="For lm_model_path.", examples=["acestep-5Hz-lm-1.7B"])
    default: bool = Field(description="Used where lm_model_path is not given.", examples=[True])
    engine: str = Field(
        description="What runs it: mock, or for lm_backend pt or vllm.", examples=["mock"]
    )
    mock: bool = Field(description="Whether it stands in for a real model.", examples=[True])
    state: str = Field(
        description="ready; starting; or idle: it starts when a job asks for it.",
        examples=["ready"],
    )


class LimitsView(BaseModel):
    """What a request may ask for."""

    duration: float = Field(description="Longest take, seconds.", examples=[600.0])
    batch_size: int = Field(description="Most takes.", examples=[8])
    upload_bytes: int = Field(description="Largest body with files.", examples=[100_000_000])
    text_bytes: int = Field(description="Largest body without.", examples=[1_000_000])
    queue: int = Field(description="Most jobs that may wait.", examples=[200])


class DefaultsView(BaseModel):
    """What a request gets where it says nothing."""

    duration: float = Field(description="Length of a take, seconds.", examples=[60.0])
    batch_size: int = Field(description="Takes.", examples=[2])


class ModelsView(BaseModel):
    """What is deployed, and what it supports."""

    decoders: list[DecoderView] = Field(description="The first is the default.")
    planners: list[PlannerView] = Field(description="LM checkpoints; the first is the default.")
    audio_formats: list[str] = Field(description="For audio_format.", examples=[[*FORMATS]])
    languages: list[str] = Field(description="For vocal_language.", examples=[["en", "zh"]])
    tracks: list[str] = Field(
        description="For track_name and track_classes.", examples=[["drums", "vocals"]]
    )
    limits: LimitsView = Field(description="Bounds of a request, set by the server.")
    defaults: DefaultsView = Field(description="What it gets where it says nothing.")
    object: str = Field("list", description="For OpenRouter's clients.", examples=["list"])
    data: list[dict[str, Any]] = Field(
        description="The decoder models, for OpenRouter's clients.",
        examples=[[{"id": "acestep/acestep-v15-turbo", "name": "ACE-Step acestep-v15-turbo"}]],
    )
    upstream_fields_not_done: list[str] = Field(
        description="Fields of POST /release_task that are accepted, with a warning in the job.",
        examples=[["repaint_mode", "timesteps"]],
    )


class CapacityView(BaseModel):
    """Replicas that run, and jobs they can hold."""

    planners: int = Field(description="Planner replicas.", examples=[1])
    decoders: int = Field(description="Decoder replicas.", examples=[1])
    plan_slots: int = Field(
        description="Plans the planners can hold; a job may have one for each take.", examples=[4]
    )
    decode_slots: int = Field(description="Jobs the decoders can hold.", examples=[2])


class StatsView(EnvelopeFields):
    """Counts and figures."""

    queued: int = Field(description="Jobs that wait.", examples=[3])
    queued_for_plan: int = Field(description="Of them, those the LM plans first.", examples=[1])
    running: int = Field(description="Jobs that engines work on.", examples=[1])
    succeeded: int = Field(description="Jobs kept that succeeded.", examples=[120])
    failed: int = Field(description="Jobs kept that failed.", examples=[2])
    avg_job_seconds: float = Field(
        description="How long the last jobs took on average.", examples=[5.0]
    )
    work_per_second: float | None = Field(
        None,
        description="How fast a decoder was with the last jobs: seconds of audio of all takes x "
        "steps, for each second of its device. Null until it was measured.",
        examples=[960.0],
    )
    plan_seconds: float | None = Field(
        None,
        description="How long the LM's plans of the last jobs took on average. Null until it was "
        "measured.",
        examples=[4.2],
    )
    queue_maxsize: int = Field(description="Most jobs that may wait; then 429.", examples=[200])
    capacity: CapacityView = Field(description="What runs now.")
    data: StatsData = Field(description="The same, for upstream's clients.")
