"""A job as stored -> the state and the results that upstream's clients read."""

import json
import time
from typing import Any
from urllib.parse import quote

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.response_models import JobView
from acestep_ray.api.routes.job_view import UNKNOWN, job_view
from acestep_ray.api.upstream.views import TaskStateView
from acestep_ray.decoder.protocol import DecodeParameters
from acestep_ray.jobs.engine_requests import song_words
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.result import JobResult, Take
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.replicas.deployed import Deployed

RUNNING, SUCCEEDED, FAILED = 0, 1, 2
"""Upstream's numbers for the status of a task; a queued one is RUNNING, too."""
_ENV = "development"


def audio_url(job_id: str, take: Take) -> str:
    """Path of a take in upstream's form, without a host: clients put their base URL before it."""
    return "/v1/audio?path=" + quote(f"{job_id}/{take.name}")


def no_task(task_id: str, why: str) -> TaskStateView:
    """A task that does not exist counts as failed, so that nobody polls for it forever."""
    return _failed(task_id, why, created=int(time.time()))


def task_state(
    task_id: str, snapshot: Snapshot, deployed: Deployed, context: AppContext
) -> TaskStateView:
    """The state of a job. A job that another release of the service wrote may be unreadable: it
    counts as failed, with an error that explains this."""
    record = snapshot.record
    view = job_view(snapshot, context)
    created = int(record.created_at)
    if record.status is Status.FAILED:
        return _failed(task_id, view.error or "The task failed.", created=created, view=view)
    if record.status is Status.SUCCEEDED:
        if view.result is None:
            return _failed(task_id, " ".join(view.warnings), created=created, view=view)
        items = take_items(snapshot, view, deployed)
        return _state(task_id, SUCCEEDED, items, "succeeded")
    progress = view.progress
    stage = progress.stage if progress else str(record.status)
    item = {
        **_item(RUNNING, created),
        "progress": progress.fraction if progress else 0.0,
        "stage": stage,
        "queue_position": view.queue_position,
        "eta_seconds": view.eta_seconds,
        "warnings": view.warnings,
    }
    text = f"{stage} {progress.step}/{progress.total}" if progress else stage
    return _state(task_id, RUNNING, [item], text)


def _item(status: int, created: int) -> dict[str, Any]:
    return {"file": "", "wave": "", "status": status, "create_time": created, "env": _ENV}


def _state(task_id: str, status: int, items: list[dict[str, Any]], text: str) -> TaskStateView:
    return TaskStateView(
        task_id=task_id,
        status=status,
        result=json.dumps(items, ensure_ascii=False),
        progress_text=text,
    )


def _failed(task_id: str, why: str, *, created: int, view: JobView | None = None) -> TaskStateView:
    item = {
        **_item(FAILED, created),
        "error": why,
        "error_code": view.error_code if view else None,
        "progress": 0.0,
        "stage": "failed",
        "warnings": view.warnings if view else [],
    }
    return _state(task_id, FAILED, [item], why)


def take_items(snapshot: Snapshot, view: JobView, deployed: Deployed) -> list[dict[str, Any]]:
    """One item per take of a job that succeeded; ``view`` has its result."""
    record = snapshot.record
    assert view.result is not None and record.result is not None
    spec = JobSpec.model_validate_json(record.spec)
    song = spec.decode
    result = JobResult.model_validate_json(record.result)
    plan = result.plan
    words = song_words(spec, plan)
    without_caption = spec.from_description or not song.caption.strip()
    default = deployed.decoders[0].model if deployed.decoders else ""
    shared = {
        "prompt": words.caption,
        "lyrics": words.lyrics,
        "metas": {**song_metadata(song, view), "prompt": song.caption, "lyrics": song.lyrics},
        "cot_caption": words.caption if without_caption else "",
        "cot_lyrics": "" if song.lyrics.strip() else words.lyrics,
        "generation_info": view.result.generation_info,
        "seed_value": view.result.seed_value,
        "lm_model": plan.model if plan else "",
        "dit_model": song.model or default,
        "progress": 1.0,
        "stage": "succeeded",
        "warnings": view.warnings,
    }
    takes = sorted(result.takes, key=lambda take: take.index)
    codes = view.result.take_audio_codes or [""] * len(takes)
    return [
        {
            **_item(SUCCEEDED, int(record.created_at)),
            "file": audio_url(record.job_id, take),
            "audio_codes": own_codes,
            **shared,
            **({"lrc": take.lrc} if song.lrc else {}),
            **({"scores": take.scores and dict(take.scores)} if song.scores else {}),
        }
        for take, own_codes in zip(takes, codes, strict=True)
    ]


def song_metadata(song: DecodeParameters, view: JobView) -> dict[str, Any]:
    """The metadata of the takes: those of the plan, else those that were sent."""
    assert view.result is not None
    sent = {
        "bpm": song.bpm or UNKNOWN,
        "duration": song.duration or UNKNOWN,
        "genres": UNKNOWN,
        "keyscale": song.key_scale or UNKNOWN,
        "timesignature": song.time_signature or UNKNOWN,
    }
    return sent | view.result.metas
