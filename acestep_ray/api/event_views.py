"""The data of server-sent events, as the OpenAPI document shows them."""

from pydantic import BaseModel, Field

from acestep_ray.api.response_models import JobSummaryView, JobView, ProgressView
from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.job import ErrorCode, Status

_JOB_ID = "550e8400-e29b-41d4-a716-446655440000"


class JobStateEventView(JobView):
    """Data of the event ``state`` in the stream of a job: the job where the stream begins."""

    reset: bool = Field(
        False,
        description="true if events were lost: the stream could not go on after Last-Event-ID. "
        "Left out otherwise.",
        examples=[True],
    )


class JobsStateEventView(BaseModel):
    """Data of the event ``state`` in the stream of all jobs."""

    jobs: list[JobSummaryView] = Field(
        description="The jobs that have not ended where the stream begins, newest first."
    )
    reset: bool = Field(
        False,
        description="true if events were lost: the stream could not go on after Last-Event-ID. "
        "Left out otherwise.",
        examples=[True],
    )


class EventView(BaseModel):
    """Data of every other event. What it does not have is left out."""

    job_id: str = Field(description="Of which job.", examples=[_JOB_ID])
    kind: EventKind = Field(description="As the name of the event.", examples=["progress"])
    at: float = Field(description="When it happened, epoch seconds.", examples=[1700000005.0])
    status: Status = Field(description="The job's status after it.", examples=["running"])
    attempt: int = Field(
        description="Number of the attempt; rises when the job is requeued.", examples=[1]
    )
    progress: ProgressView | None = Field(None, description="Of stage and progress.")
    error_code: ErrorCode | None = Field(
        None, description="Of ended, if the job failed.", examples=["cancelled"]
    )
    job: JobView | None = Field(
        None,
        description="Of ended: the whole job, with its result. Left out if it was deleted since.",
    )
