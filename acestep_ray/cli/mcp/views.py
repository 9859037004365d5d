"""What the tools return: short enough for an assistant to read."""

from pydantic import BaseModel, Field

from acestep_ray.cli.display import what_happens
from acestep_ray.client.job import JobView


class JobReport(BaseModel):
    """A job now."""

    job_id: str
    status: str = Field(description="queued, running, succeeded or failed.")
    happens: str = Field(description="What is done with it now, in a few words.")
    fraction_done: float | None = Field(None, description="0 to 1, while it runs.")
    seconds_left: float | None = Field(None, description="Estimate, while it waits.")
    error: str | None = None
    error_code: str | None = None
    takes: int | None = Field(None, description="How many takes there are to fetch.")
    seeds: str | None = Field(None, description="One per take; send them to repeat the takes.")
    bpm: int | None = None
    key: str | None = None
    seconds: float | None = Field(None, description="Length of each take, once it is made.")
    caption: str | None = None
    lyrics: str | None = Field(None, description="What the LM wrote.")
    warnings: list[str] = []


class JobList(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobReport]


class SavedSong(BaseModel):
    """The takes of a job as files of this machine."""

    job_id: str
    files: list[str] = Field(description="Absolute paths, one per take.")
    seconds: float | None = Field(description="Length of each take.")
    seeds: str


class ModelReport(BaseModel):
    """What the service can do now."""

    models: list[str] = Field(description="Decoder models; the first is the default.")
    language_models: list[str] = Field(description="The first is the default.")
    tasks: list[str] = Field(description="Of the default model.")
    mock: bool = Field(description="Whether the default model is a mock: its music is synthetic.")
    audio_formats: list[str]
    languages: list[str]
    longest_seconds: float
    most_takes: int


def job_report(job: JobView) -> JobReport:
    """The report on a job."""
    state = job.state
    result = state.result
    return JobReport(
        job_id=state.job_id,
        status=state.status,
        happens=what_happens(state),
        fraction_done=state.progress.fraction if state.progress else None,
        seconds_left=state.eta_seconds,
        error=state.error,
        error_code=state.error_code,
        takes=len(result.audio_paths) if result else state.takes,
        seeds=result.seed_value if result else None,
        bpm=result.bpm if result else None,
        key=result.keyscale if result else None,
        seconds=(result.take_seconds or result.duration) if result else None,
        caption=(result.lm_caption if result else None) or state.caption,
        lyrics=result.lm_lyrics if result else None,
        warnings=state.warnings,
    )
