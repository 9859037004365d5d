"""The models of the responses, as the OpenAPI document shows them."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.decoder.protocol import TakeScores
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.records import DeliveryState

_JOB_ID = "550e8400-e29b-41d4-a716-446655440000"
_AUDIO = f"/v1/audio/{_JOB_ID}"


class SubmittedView(BaseModel):
    """An accepted job."""

    job_id: str = Field(description="Poll GET /v1/jobs/{job_id} with it.", examples=[_JOB_ID])
    status: Status = Field(description="queued, but for a repeated submit.", examples=["queued"])
    queue_position: int = Field(description="1 = next.", examples=[1])
    warnings: list[str] | None = Field(
        None,
        description="Values that were accepted and will not be used; left out where none.",
        examples=[["Not used by acestep-v15-turbo, a turbo model: guidance_scale."]],
    )


class ProgressView(BaseModel):
    """How far a running job is."""

    stage: str = Field(
        description="writing, metadata, codes, waiting, encoding, diffusion, vae or storing.",
        examples=["diffusion"],
    )
    step: int = Field(description="Steps of the stage that are done.", examples=[3])
    total: int = Field(description="Steps of the stage.", examples=[8])
    fraction: float = Field(
        ge=0, le=1, description="Share of the whole job that is done.", examples=[0.55]
    )


class ResultView(BaseModel):
    """What a succeeded job made. The LM's fields are null where it did not run."""

    audio_paths: list[str] = Field(
        description="URL paths of the takes; absolute where the server knows its address.",
        examples=[[f"{_AUDIO}/1.mp3", f"{_AUDIO}/2.mp3"]],
    )
    first_audio_path: str | None = Field(description="The first.", examples=[f"{_AUDIO}/1.mp3"])
    second_audio_path: str | None = Field(
        description="The second; null with one take.", examples=[f"{_AUDIO}/2.mp3"]
    )
    generation_info: str = Field(
        description="What was done and how long it took, for people.",
        examples=["Steps: 8, Scale: 7.0, Shift: 3.0"],
    )
    status_message: str = Field(
        description="Always the same, for people.",
        examples=["✅ Generation completed successfully!"],
    )
    seed_value: str = Field(
        description="The seeds used, joined by commas; send them as seed to replay.",
        examples=["12345,12346"],
    )
    retake_seed_value: str | None = Field(
        None,
        description="The retake seeds used, joined by commas; send them as retake_seed, with the "
        "same retake_variance, to replay. null without retake_variance.",
        examples=["777,778"],
    )
    metas: dict[str, Any] = Field(
        description='The LM\'s metadata: bpm, duration, genres, keyscale, timesignature, "N/A" '
        "where unknown. Empty where the LM did not run.",
        examples=[
            {
                "bpm": 120,
                "duration": 30.0,
                "genres": "N/A",
                "keyscale": "C major",
                "timesignature": "4",
            }
        ],
    )
    bpm: int | None = Field(description="Beats a minute.", examples=[120])
    duration: float | None = Field(
        description="Seconds; null where the LM did not run.", examples=[30.0]
    )
    take_seconds: float | None = Field(
        None,
        description="Length of each take, seconds, whether the LM ran or not.",
        examples=[30.0],
    )
    genres: str | None = Field(
        description="Genres, where the LM names them.", examples=[None, "pop"]
    )
    keyscale: str | None = Field(description="Key.", examples=["C major"])
    timesignature: str | None = Field(description="Beats a bar.", examples=["4"])
    audio_codes: str | None = Field(
        description="The LM's audio codes of all takes, with semicolons between them, or once if "
        "they are the same; send them as audio_code_string for an exact replay.",
        examples=["<|audio_code_1024|><|audio_code_77|>"],
    )
    take_audio_codes: list[str] | None = Field(
        None,
        description="The LM's audio codes of every take. null where it wrote none.",
        examples=[["<|audio_code_1024|><|audio_code_77|>", "<|audio_code_3|><|audio_code_512|>"]],
    )
    lm_caption: str | None = Field(
        description="The caption as the LM words it, which the decoder read; null where it wrote "
        "none (use_cot_caption, sample_query, use_format).",
        examples=["An upbeat pop song."],
    )
    lm_lyrics: str | None = Field(
        description="The lyrics as the LM wrote them, which the decoder read; null where it wrote "
        "none (sample_query, use_format).",
        examples=["[Verse]\nRain on the roof"],
    )
    vocal_language: str = Field(
        description="Language of the lyrics, as the decoder read it: the request's, or the one "
        "that the LM found.",
        examples=["en"],
    )
    lrc: list[str | None] | None = Field(
        None,
        description="When each line of the lyrics begins, as LRC, for each take; null without lrc "
        "in the request.",
        examples=[["[00:00.00][Verse]\n[00:03.20]Rain on the roof"]],
    )
    scores: list[TakeScores | None] | None = Field(
        None,
        description="How clearly the lyrics are sung one after another, 0 to 1, for each take; "
        "null without scores in the request.",
        examples=[[{"dit_score": 0.61, "lm_score": 0.48}]],
    )


class JobStateView(BaseModel):
    """What a job and its entry in a list have in common."""

    job_id: str = Field(description="As the submit answered it.", examples=[_JOB_ID])
    status: Status = Field(description="Poll until succeeded or failed.", examples=["succeeded"])
    created_at: float = Field(description="Epoch seconds.", examples=[1700000000.0])
    started_at: float | None = Field(
        description="Epoch seconds; null before.", examples=[1700000002.0]
    )
    finished_at: float | None = Field(
        description="Epoch seconds; null before.", examples=[1700000010.0]
    )
    queue_position: int = Field(
        description="1 = next; 0 when running or ended.", examples=[0], ge=0
    )
    eta_seconds: float | None = Field(
        description="Estimated wait left, seconds; set while queued.", examples=[None, 25.0]
    )
    progress: ProgressView | None = Field(
        description="Set while it runs.",
        examples=[None, {"stage": "diffusion", "step": 3, "total": 8, "fraction": 0.55}],
    )
    error: str | None = Field(
        description="One sentence, set when failed.",
        examples=[None, "A client cancelled the job."],
    )
    error_code: ErrorCode | None = Field(
        description="Stable name of the error, set when failed.", examples=[None, "cancelled"]
    )
    attempts: int = Field(
        description="How often it was started, or lost its worker before: more than once where a "
        "worker was lost.",
        examples=[1],
    )
    expires_at: float | None = Field(
        description="When an ended job and its audio are removed, epoch seconds.",
        examples=[1700604810.0],
    )


class JobView(JobStateView):
    """A job, now."""

    task_type: str | None = Field(
        description="What is done; null where another release wrote the job.",
        examples=["text2music"],
    )
    caption: str | None = Field(
        description="The caption as it was sent, or the description of a song that the LM writes; "
        "null where another release wrote the job.",
        examples=["upbeat pop song"],
    )
    takes: int | None = Field(
        description="How many are asked for; null where another release wrote the job.",
        examples=[2],
    )
    result: ResultView | None = Field(description="Set when succeeded.")
    warnings: list[str] = Field(
        description="Values that were not used, and what came up while the job ran.", examples=[[]]
    )


class JobSummaryView(JobStateView):
    """A job in a list: what was asked for, in short, and how it is."""

    task_type: str | None = Field(
        description="What is done; null where another release wrote the job.",
        examples=["text2music"],
    )
    caption: str | None = Field(
        description="The beginning of the caption; null where another release wrote the job.",
        examples=["upbeat pop song"],
    )
    takes: int | None = Field(
        description="How many are asked for; null where another release wrote the job.",
        examples=[2],
    )


class JobListView(BaseModel):
    """Jobs, newest first."""

    jobs: list[JobSummaryView | JobView] = Field(
        description="In short, or with full=true as GET /v1/jobs/{job_id} answers them."
    )
    next_cursor: str | None = Field(
        description="Send it as cursor for the next ones; null at the end.", examples=["MTAw"]
    )


class DeliveryView(BaseModel):
    """A message to the webhook of a job, and how its delivery is."""

    delivery_id: str = Field(
        description="Its header webhook-id, the same at every try.",
        examples=[f"{_JOB_ID}-ended-1"],
    )
    type: str = Field(description="job. and the event.", examples=["job.ended"])
    state: DeliveryState = Field(
        description="pending, delivered, or failed: it was given up.", examples=["delivered"]
    )
    created_at: float = Field(
        description="When the event happened, epoch seconds.", examples=[1700000010.0]
    )
    tries: int = Field(description="How many were made.", examples=[1])
    last_try_at: float | None = Field(
        description="Epoch seconds; null before the first.", examples=[1700000010.2]
    )
    next_try_at: float | None = Field(
        description="Epoch seconds, about; null where no try follows.",
        examples=[None, 1700000020.0],
    )
    http_status: int | None = Field(
        description="What the receiver responded to the last try; null where it did not.",
        examples=[204],
    )
    error: str | None = Field(
        description="Why the last try failed; null where it did not.",
        examples=[None, "no response within 10 s"],
    )


class DeliveriesView(BaseModel):
    """The messages to the webhook of a job, oldest first; those about its progress are not kept."""

    deliveries: list[DeliveryView] = Field(description="Empty for a job without a webhook.")


class FieldErrorView(BaseModel):
    """One wrong field."""

    field: str = Field(description="Name of the field or parameter.", examples=["bpm"])
    detail: str = Field(
        description="One sentence.",
        examples=["bpm must be a whole number from 30 to 300, or null; got 20."],
    )
    legal: str | None = Field(
        None,
        description="What the field accepts.",
        examples=["a whole number from 30 to 300, or null"],
    )


class ProblemView(BaseModel):
    """RFC 9457 problem details. ``code`` is stable; ``detail`` can be read alone."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Always about:blank.", examples=["about:blank"])
    title: str = Field(description="The status in words.", examples=["Unprocessable Entity"])
    status: int = Field(description="The HTTP status.", examples=[422])
    detail: str = Field(
        description="What is wrong, in sentences that can be read alone.",
        examples=["bpm must be a whole number from 30 to 300, or null; got 20."],
    )
    error: str = Field(
        description="As detail, for clients of upstream's API.",
        examples=["bpm must be a whole number from 30 to 300, or null; got 20."],
    )
    code: str = Field(description="Stable name of the problem.", examples=["invalid_value"])
    errors: list[FieldErrorView] | None = Field(None, description="For 422: one entry a field.")
