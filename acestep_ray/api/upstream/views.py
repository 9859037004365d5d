"""The ``data`` of upstream's responses, as the OpenAPI document shows it."""

from typing import Any

from pydantic import BaseModel, Field

_TASK_ID = "550e8400-e29b-41d4-a716-446655440000"


class TaskView(BaseModel):
    """An accepted task, which is a job of this service."""

    task_id: str = Field(
        description="Send it to POST /query_result. It is also the job's job_id.",
        examples=[_TASK_ID],
    )
    status: str = Field(description="Always queued.", examples=["queued"])
    queue_position: int = Field(description="1 = next.", examples=[1])
    warnings: list[str] = Field(
        description="Values that were read as something else, or are not used.",
        examples=[["bpm must be a whole number from 30 to 300, or null; got 20. Left out."]],
    )


class TaskStateView(BaseModel):
    """A task, now."""

    task_id: str = Field(description="As it was sent.", examples=[_TASK_ID])
    status: int = Field(
        description="0: queued or running; 1: succeeded; 2: failed, or there is no such task.",
        examples=[1],
    )
    result: str = Field(
        description="JSON text of a list: one object per take if it succeeded, else one object.",
        examples=['[{"file": "/v1/audio?path=550e8400-e29b-41d4-a716-446655440000/1.mp3"}]'],
    )
    progress_text: str = Field(description="Where it is, for people.", examples=["diffusion 3/8"])


class InventoryModelView(BaseModel):
    """A decoder model."""

    name: str = Field(description="For model.", examples=["acestep-v15-turbo"])
    is_default: bool = Field(description="Used if model is not sent.", examples=[True])
    is_loaded: bool = Field(description="Always true: what is listed is deployed.", examples=[True])
    supported_task_types: list[str] = Field(
        description="For task_type.", examples=[["text2music", "cover", "repaint"]]
    )


class InventoryLmView(BaseModel):
    """A language model."""

    name: str = Field(description="For lm_model_path.", examples=["acestep-5Hz-lm-1.7B"])
    is_loaded: bool = Field(description="Whether a replica has it now.", examples=[True])


class InventoryView(BaseModel):
    """What is deployed."""

    models: list[InventoryModelView] = Field(description="Decoder models; the default first.")
    default_model: str | None = Field(
        description="The first of them.", examples=["acestep-v15-turbo"]
    )
    lm_models: list[InventoryLmView] = Field(description="Language models; the default first.")
    loaded_lm_model: str | None = Field(
        description="The first that is loaded.", examples=["acestep-5Hz-lm-1.7B"]
    )
    llm_initialized: bool = Field(description="Whether a planner is up.", examples=[True])
    gpus: list[dict[str, Any]] = Field(
        description="Always empty: Ray places the models.", examples=[[]]
    )
    gpu_mapping: str = Field(description="Always auto.", examples=["auto"])
    device_map: dict[str, str] = Field(
        description="Device of each decoder model.", examples=[{"acestep-v15-turbo": "cpu"}]
    )


class HealthData(BaseModel):
    """What upstream's /health has in ``data``."""

    status: str = Field(description="Always ok.", examples=["ok"])
    service: str = Field(description="Name of this service.", examples=["acestep-ray"])
    version: str = Field(description="Its version.", examples=["0.1.0"])
    models_initialized: bool = Field(description="Whether a decoder is up.", examples=[True])
    llm_initialized: bool = Field(description="Whether a planner is up.", examples=[True])
    loaded_model: str | None = Field(
        description="The default decoder model.", examples=["acestep-v15-turbo"]
    )
    loaded_lm_model: str | None = Field(
        description="The default language model.", examples=["acestep-5Hz-lm-1.7B"]
    )
    gpus: list[dict[str, Any]] = Field(
        description="Always empty: Ray places the models.", examples=[[]]
    )
    gpu_mapping: str = Field(description="Always auto.", examples=["auto"])
    device_map: dict[str, str] = Field(
        description="Device of each decoder model.", examples=[{"acestep-v15-turbo": "cpu"}]
    )


class JobCountsView(BaseModel):
    """How many jobs there are, by status."""

    total: int = Field(description="All jobs that are kept.", examples=[126])
    queued: int = Field(description="Jobs that wait.", examples=[3])
    running: int = Field(description="Jobs that engines work on.", examples=[1])
    succeeded: int = Field(description="Kept jobs that succeeded.", examples=[120])
    failed: int = Field(description="Kept jobs that failed.", examples=[2])


class StatsData(BaseModel):
    """What upstream's /v1/stats has in ``data``."""

    jobs: JobCountsView = Field(description="Jobs by status.")
    queue_size: int = Field(description="Jobs that wait.", examples=[3])
    queue_maxsize: int = Field(description="Most jobs that may wait; then 429.", examples=[200])
    avg_job_seconds: float = Field(
        description="Average time of the last jobs, seconds.", examples=[5.0]
    )


class InitView(BaseModel):
    """A model that was asked for is deployed."""

    message: str = Field(
        description="One sentence.", examples=["acestep-v15-turbo is deployed; nothing to load."]
    )
    slot: int = Field(description="As it was sent; slots do not exist here.", examples=[1])
    loaded_model: str | None = Field(
        description="The decoder model.", examples=["acestep-v15-turbo"]
    )
    loaded_lm_model: str | None = Field(
        description="The language model.", examples=["acestep-5Hz-lm-1.7B"]
    )
    models: list[InventoryModelView] = Field(description="Decoder models; the default first.")
    lm_models: list[InventoryLmView] = Field(description="Language models; the default first.")
    llm_initialized: bool = Field(description="Whether a planner is up.", examples=[True])


class _SongMetadata(BaseModel):
    """Caption, lyrics and metadata. Two names have two spellings: upstream's routes differ."""

    caption: str = Field(description="What the music is like.", examples=["Bright indie pop."])
    lyrics: str = Field(
        description="[Instrumental] for a song without words.", examples=["[Verse]\nLast tram home"]
    )
    bpm: int = Field(description="Beats a minute.", examples=[118])
    key_scale: str = Field(description="The key.", examples=["G major"])
    keyscale: str = Field(description="As key_scale.", examples=["G major"])
    time_signature: str = Field(description="Beats a bar.", examples=["4"])
    timesignature: str = Field(description="As time_signature.", examples=["4"])
    duration: int = Field(description="Length, seconds.", examples=[110])
    vocal_language: str = Field(description="Language of the lyrics.", examples=["en"])


class SongTextView(_SongMetadata):
    """A song's text, as the language model wrote it."""

    lm_model: str = Field(
        description="Language model that wrote it.", examples=["acestep-5Hz-lm-1.7B"]
    )
    mock: bool = Field(description="Whether a mock engine wrote it.", examples=[False])
    warnings: list[str] = Field(
        description="Values that were read as something else, or are not used.",
        examples=[["bpm must be a whole number from 30 to 300, or null; got 20. Left out."]],
    )


class ExampleDescriptionView(BaseModel):
    """A description of a song, for POST /v1/create_sample."""

    description: str = Field(
        description="The song in one sentence.",
        examples=["a cheerful indie pop song about the last tram home"],
    )
    instrumental: bool = Field(description="Whether nothing is sung.", examples=[False])
    vocal_language: str = Field(
        description="Language of the lyrics; unknown if there are none.", examples=["en"]
    )


class ExampleSongView(_SongMetadata):
    """The text of an example song."""

    language: str = Field(description="As vocal_language.", examples=["en"])


class AudioUrlView(BaseModel):
    """Where the bytes of a take are."""

    url: str = Field(description="A data: URL.", examples=["data:audio/mpeg;base64,SUQz"])


class AudioPartView(BaseModel):
    """A take."""

    type: str = Field(description="Always audio_url.", examples=["audio_url"])
    audio_url: AudioUrlView = Field(description="The take.")


class ChatMessageView(BaseModel):
    """The answer."""

    role: str = Field(description="Always assistant.", examples=["assistant"])
    content: str = Field(
        description="Metadata and lyrics, in Markdown.",
        examples=["## Metadata\n**Caption:** upbeat pop song"],
    )
    audio: list[AudioPartView] = Field(description="All takes, in order.")


class ChatChoiceView(BaseModel):
    """The only choice."""

    index: int = Field(description="Always 0.", examples=[0])
    message: ChatMessageView = Field(description="Text and takes.")
    finish_reason: str = Field(description="Always stop.", examples=["stop"])


class ChatUsageView(BaseModel):
    """No tokens are counted."""

    prompt_tokens: int = Field(description="Always 0.", examples=[0])
    completion_tokens: int = Field(description="Always 0.", examples=[0])
    total_tokens: int = Field(description="Always 0.", examples=[0])


class ChatCompletionView(BaseModel):
    """A song as a chat completion. With stream, the response is server-sent events instead."""

    id: str = Field(
        description="Of the completion.", examples=["chatcmpl-550e8400e29b41d4a7164466"]
    )
    object: str = Field(description="Always chat.completion.", examples=["chat.completion"])
    created: int = Field(description="Epoch seconds.", examples=[1700000000])
    model: str = Field(description="As in GET /v1/models.", examples=["acestep/acestep-v15-turbo"])
    choices: list[ChatChoiceView] = Field(description="Always one.")
    usage: ChatUsageView = Field(description="Always zero.")
    job_id: str = Field(description="The job that made the song.", examples=[_TASK_ID])
    warnings: list[str] = Field(
        description="Values that were read as something else, or are not used.", examples=[[]]
    )
