"""``POST /release_task``: upstream's way to queue a job."""

import logging

from fastapi import APIRouter, Request, Response

from acestep_ray.api.dependencies import ContextDep
from acestep_ray.api.routes.accept import queue_job, request_folder
from acestep_ray.api.upstream.envelope import Envelope
from acestep_ray.api.upstream.keyed_body import read_keyed_body
from acestep_ray.api.upstream.lenient_fields import TEXT_NAMES
from acestep_ray.api.upstream.lenient_request import admit_task
from acestep_ray.api.upstream.views import TaskView

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
        task = await admit_task(body, folder, context)
        submitted, spec = await queue_job(task.draft, task.checked, task.body, folder, context)
    if spec.warnings:
        logger.warning("Task %s: %s", submitted.job_id, " ".join(spec.warnings))
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
