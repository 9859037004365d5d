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
