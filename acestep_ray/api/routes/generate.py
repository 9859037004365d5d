"""``POST /v1/music/generate``: from the first byte of a body to a queued job."""

from fastapi import APIRouter, Request, Response

from acestep_ray.api.dependencies import ContextDep
from acestep_ray.api.problems import invalid_values
from acestep_ray.api.request.body import read_body
from acestep_ray.api.request.folder import request_folder
from acestep_ray.api.request.idempotency import IdempotencyKey, check_key
from acestep_ray.api.request.validation import check, field_error
from acestep_ray.api.response_models import SubmittedView
from acestep_ray.api.routes.accept import admit_request, queue_job
from acestep_ray.api.routes.source_takes import TakeGone, copy_takes, find_takes, with_takes

router = APIRouter(tags=["music"])


@router.post(
    "/v1/music/generate",
    operation_id="generate",
    summary="Make music",
    response_model_exclude_none=True,
)
async def generate(
    request: Request,
    response: Response,
    context: ContextDep,
    idempotency_key: IdempotencyKey = None,
) -> SubmittedView:
    """Queue a job. Its audio is fetched once GET /v1/jobs/{job_id} says succeeded.

    The body is JSON, a urlencoded form, or a multipart form with the files src_audio and
    reference_audio; the fields are the same in all three.
    """
    check_key(idempotency_key)
    limits = context.settings.limits
    with request_folder() as folder:
        body = await read_body(request, limits, folder)
        checked = check(body, limits)
        checked, takes = await find_takes(checked, body.files, context)
        body = with_takes(body, takes, folder)
        draft, found = await admit_request(checked, body, context)
        if found.errors:
            raise invalid_values(list(found.errors.values()))
        try:
            body = await copy_takes(takes, draft, body, context)
        except TakeGone as gone:
            raise invalid_values([field_error(gone.named_by, str(gone), limits)]) from None
        submitted, spec = await queue_job(
            draft, checked, body, folder, context, idempotency_key=idempotency_key
        )
    response.headers["Location"] = context.url(f"/v1/jobs/{submitted.job_id}")
    response.headers["Retry-After"] = "1"
    response.headers["Cache-Control"] = "no-store"
    if not submitted.created:
        response.headers["Idempotency-Replayed"] = "true"
    return SubmittedView(
        job_id=submitted.job_id,
        status=submitted.status,
        queue_position=submitted.position,
        warnings=list(spec.warnings) or None,
    )
