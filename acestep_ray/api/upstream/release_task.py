"""``POST /release_task``: upstream's way to queue a job."""

import logging
from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Request, Response

from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.repeats import repeat_key
from acestep_ray.api.request.folder import request_folder
from acestep_ray.api.routes.accept import queue_job
from acestep_ray.api.upstream.envelope import Envelope
from acestep_ray.api.upstream.keyed_body import read_keyed_body
from acestep_ray.api.upstream.lenient_fields import TEXT_NAMES
from acestep_ray.api.upstream.lenient_request import admit_task
from acestep_ray.api.upstream.logged_warnings import log_warnings
from acestep_ray.api.upstream.views import TaskView
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound
from acestep_ray.jobs.store.records import Submitted

logger = logging.getLogger(__name__)

router = APIRouter(tags=["upstream"])


@router.post("/release_task", operation_id="release_task", summary="Make music (upstream's API)")
async def release_task(
    request: Request, response: Response, context: ContextDep
) -> Envelope[TaskView]:
    """Queue a job, as upstream's clients ask for it.

    The body is JSON, a urlencoded form or a multipart form. Values that cannot be used become their
    defaults, with warnings. docs/upstream.md lists the fields.
    """
    with request_folder() as folder:
        body = await read_keyed_body(request, context, folder, TEXT_NAMES)
        key = repeat_key(request, body)
        found = await _earlier(key, context)
        if found is not None:
            response.headers["Idempotency-Replayed"] = "true"
        else:
            task = await admit_task(body, folder, context)
            on_hang_up = partial(context.repeats.keep, key)
            found = await queue_job(
                task.draft, task.checked, task.body, folder, context, on_hang_up=on_hang_up
            )
    submitted, spec = found
    if await request.is_disconnected():
        context.repeats.keep_submitted(key, submitted)
    log_warnings(submitted.job_id, spec.warnings)
    response.headers["Location"] = context.url(f"/v1/jobs/{submitted.job_id}")
    response.headers["Cache-Control"] = "no-store"
    return Envelope(
        data=TaskView(
            task_id=submitted.job_id,
            status=submitted.status,
            queue_position=submitted.position,
            warnings=list(spec.warnings),
        )
    )


async def _earlier(key: str, context: AppContext) -> tuple[Submitted, JobSpec] | None:
    """The job of the same request, if its answer was not delivered; None if there is none, or if
    the job failed or was deleted."""
    submitted = await context.repeats.earlier(key)
    if submitted is None:
        return None
    try:
        record = (await context.service.get(submitted.job_id)).record
    except (JobNotFound, JobExpired):
        return None
    except BaseException:
        context.repeats.keep_submitted(key, submitted)
        raise
    logger.info("Task %s was sent again by a client that has no answer", submitted.job_id)
    if record.status is Status.FAILED:  # or cancelled: a client that tries again wants a song
        return None
    submitted = replace(submitted, status=record.status, position=record.position)
    return submitted, JobSpec.model_validate_json(record.spec)
