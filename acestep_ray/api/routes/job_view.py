"""A job as stored -> a job as clients see it."""

import logging
import math
from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import ValidationError

from acestep_ray.api.response_models import JobSummaryView, JobView, ProgressView, ResultView
from acestep_ray.jobs.engine_requests import song_words
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import JobResult, Take
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.codes import format_code_string, join_takes
from acestep_ray.planner.protocol import Plan

UNKNOWN = "N/A"
CAPTION_LENGTH = 100
"""Characters of a caption in a list, at most."""
SUCCEEDED = "✅ Generation completed successfully!"
UNREADABLE = "The job was stored by another version of the service; ask that one for its result."

logger = logging.getLogger(__name__)


class Links(Protocol):
    """How addresses for clients are made: as Settings and AppContext do."""

    def url(self, path: str) -> str:
        """An address for clients."""
        ...


def job_view(snapshot: Snapshot, context: Links) -> JobView:
    """The job as clients see it. If clusters of two releases share a store, a job that the other
    release wrote may be unreadable; its state is returned nevertheless."""
    record = snapshot.record
    asked: dict[str, Any] = {"task_type": None, "caption": None, "takes": None}
    try:
        spec = JobSpec.model_validate_json(record.spec)
        asked = _asked(spec)
        found = JobResult.model_validate_json(record.result) if record.result else None
        result = _result(record.job_id, spec, found, context) if found else None
        warnings = [*spec.warnings, *(found.warnings if found else ())]
    except ValidationError:
        logger.warning("Job %s cannot be read whole", record.job_id, exc_info=True)
        result, warnings = None, [UNREADABLE]
    return JobView(**_state(snapshot), **asked, result=result, warnings=warnings)


def job_summary(snapshot: Snapshot) -> JobSummaryView:
    """The job's entry in a list. Of the stored texts it needs only the spec."""
    try:
        spec = JobSpec.model_validate_json(snapshot.record.spec)
    except ValidationError:
        return JobSummaryView(**_state(snapshot), task_type=None, caption=None, takes=None)
    asked = _asked(spec)
    return JobSummaryView(**_state(snapshot), **asked | {"caption": _excerpt(asked["caption"])})


def _asked(spec: JobSpec) -> dict[str, Any]:
    """What was asked for, in three fields."""
    decode = spec.decode
    return {"task_type": decode.task, "caption": decode.caption, "takes": len(decode.seeds)}


def _excerpt(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= CAPTION_LENGTH else f"{line[: CAPTION_LENGTH - 1]}…"


def _state(snapshot: Snapshot) -> dict[str, Any]:
    """The fields of JobStateView."""
    record = snapshot.record
    running = record.status is Status.RUNNING
    return {
        "job_id": record.job_id,
        "status": record.status,
        "created_at": record.created_at,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "queue_position": record.position,
        "eta_seconds": snapshot.eta_seconds if record.status is Status.QUEUED else None,
        "progress": (
            ProgressView(**snapshot.progress.model_dump())
            if running and snapshot.progress
            else None
        ),
        "error": record.error,
        "error_code": record.error_code,
        "attempts": record.starts,
        "expires_at": snapshot.expires_at,
    }


def poll_headers(view: JobView) -> dict[str, str]:
    """Headers for a job's state: do not cache it and, until the job ends, when to poll again."""
    headers = {"Cache-Control": "no-store"}
    if not view.status.ended:
        headers["Retry-After"] = str(min(5, max(1, math.ceil((view.eta_seconds or 0) / 4))))
    return headers


def audio_path(job_id: str, take: Take) -> str:
    """Path of a take, without a host."""
    return f"/v1/audio/{job_id}/{take.name}"


def _result(job_id: str, spec: JobSpec, result: JobResult, context: Links) -> ResultView:
    takes = sorted(result.takes, key=lambda take: take.index)
    paths = [context.url(audio_path(job_id, take)) for take in takes]
    plan = result.plan
    text = plan.text if plan else None
    codes = take_codes(plan, takes)
    return ResultView(
        audio_paths=paths,
        first_audio_path=paths[0] if paths else None,
        second_audio_path=paths[1] if len(paths) > 1 else None,
        generation_info=result.generation_info,
        status_message=SUCCEEDED,
        seed_value=",".join(str(take.seed) for take in takes),
        retake_seed_value=",".join(map(str, spec.decode.retake_seeds)) or None,
        metas=_metas(spec, result, plan) if plan else {},
        bpm=(spec.decode.bpm or plan.metadata.bpm) if plan else None,
        duration=result.duration if plan else None,
        take_seconds=result.duration,
        genres=None,  # the LM's grammar does not contain them
        keyscale=(spec.decode.key_scale or plan.metadata.keyscale) if plan else None,
        timesignature=(spec.decode.time_signature or plan.metadata.timesignature) if plan else None,
        audio_codes=join_takes(codes) if codes else None,
        take_audio_codes=codes,
        lm_caption=((text and text.caption) or plan.metadata.caption) if plan else None,
        lm_lyrics=text.lyrics if text else None,
        vocal_language=song_words(spec, plan).vocal_language,
        lrc=[take.lrc for take in takes] if spec.decode.lrc else None,
        scores=[take.scores for take in takes] if spec.decode.scores else None,
    )


def take_codes(plan: Plan | None, takes: Sequence[Take]) -> list[str] | None:
    """The LM's audio codes of each of the takes, as text; None if it wrote none."""
    if plan is None or not plan.sequences:
        return None
    texts = [format_code_string(one) for one in plan.sequences]
    return [texts[take.index] if len(texts) > 1 else texts[0] for take in takes]


def _metas(spec: JobSpec, result: JobResult, plan: Plan) -> dict[str, str | int | float]:
    """The metadata that were used for the takes: values of the user come before those of the LM."""
    return {
        "bpm": spec.decode.bpm or plan.metadata.bpm or UNKNOWN,
        "duration": result.duration or UNKNOWN,
        "genres": UNKNOWN,
        "keyscale": spec.decode.key_scale or plan.metadata.keyscale or UNKNOWN,
        "timesignature": spec.decode.time_signature or plan.metadata.timesignature or UNKNOWN,
    }
