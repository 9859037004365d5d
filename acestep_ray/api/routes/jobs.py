"""Jobs: poll, list, cancel, delete."""

import base64
import binascii
import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BeforeValidator

from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.error_handlers import job_not_found
from acestep_ray.api.problems import invalid_values
from acestep_ray.api.query_parameters import LEGAL, LONGEST_WAIT, MOST_JOBS, parameter_error
from acestep_ray.api.request.field_values import JOB_ID
from acestep_ray.api.response_models import JobListView, JobView
from acestep_ray.api.routes.job_view import job_summary, job_view, poll_headers
from acestep_ray.artifacts.keys import sources_prefix, takes_prefix
from acestep_ray.artifacts.store import StorageError
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.operations import ListJobs

logger = logging.getLogger(__name__)

router = APIRouter(tags=["jobs"])

_MAX_PLACE = 2**63
_EXAMPLE_ID = "550e8400-e29b-41d4-a716-446655440000"


def is_job_id(text: str) -> bool:
    """Whether a text can be the id of a job."""
    return JOB_ID.fullmatch(text.lower()) is not None


async def known_id(
    job_id: Annotated[str, Path(description="As the submit answered it.", examples=[_EXAMPLE_ID])],
) -> str:
    """A job's id as it is stored. Raises Problem 404 for a text that cannot be an id."""
    if not is_job_id(job_id):
        raise job_not_found()
    return job_id.lower()


JobId = Annotated[str, Depends(known_id)]
# A form with empty inputs sends ?status=&limit= and asks for everything.
EMPTY_IS_UNSET = BeforeValidator(lambda value: None if value == "" else value)


class PlainPoll(APIRoute):
    """A route whose most frequent request, without a query, takes a shorter way: FastAPI's reading
    of parameters would be half of its time."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See APIRoute."""
        whole = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                return await whole(request)
            context: AppContext = request.app.state.context
            job_id = await known_id(request.path_params["job_id"])
            return context.polls.of(await context.service.get(job_id))

        return handle


async def get_job(
    job_id: JobId,
    context: ContextDep,
    wait: Annotated[
        Annotated[float, Query(ge=0, le=LONGEST_WAIT, allow_inf_nan=False)] | None,
        EMPTY_IS_UNSET,
        Query(
            description="Answer at the next change of status, or after so many seconds. "
            f"Legal: {LEGAL['wait']}.",
            examples=[30],
        ),
    ] = None,
) -> Response:
    """How the job is, and its result once it succeeded."""
    snapshot = await context.service.get(job_id)
    status = snapshot.record.status
    if wait and not status.ended:
        snapshot = await context.service.wait(job_id, status, wait)
    return context.polls.of(snapshot)


router.add_api_route(
    "/v1/jobs/{job_id}",
    get_job,
    methods=["GET"],
    operation_id="get_job",
    summary="Look at a job",
    response_model=JobView,
    route_class_override=PlainPoll,
)


@router.get("/v1/jobs", operation_id="list_jobs", summary="List jobs")
async def list_jobs(
    *,
    response: Response,
    context: ContextDep,
    status: Annotated[
        Status | None,
        EMPTY_IS_UNSET,
        Query(
            description=f"Only jobs of this status. Legal: {LEGAL['status']}.",
            examples=["succeeded"],
        ),
    ] = None,
    error_code: Annotated[
        str | None,
        EMPTY_IS_UNSET,
        Query(
            description=f"Only jobs that failed with this code. Legal: {LEGAL['error_code']}.",
            examples=["cancelled", "!cancelled"],
        ),
    ] = None,
    limit: Annotated[
        Annotated[int, Query(ge=1, le=MOST_JOBS)] | None,
        EMPTY_IS_UNSET,
        Query(description=f"How many; 50 where not given. Legal: {LEGAL['limit']}.", examples=[50]),
    ] = None,
    cursor: Annotated[
        str | None,
        EMPTY_IS_UNSET,
        Query(description=f"Where to go on. Legal: {LEGAL['cursor']}.", examples=["MTAw"]),
    ] = None,
    full: Annotated[
        bool | None,
        EMPTY_IS_UNSET,
        Query(
            description="Whole jobs, with results and warnings, as GET /v1/jobs/{job_id} answers "
            f"them. Legal: {LEGAL['full']}.",
            examples=[False],
        ),
    ] = None,
) -> JobListView:
    """Jobs, newest first, in short: a result is under its job."""
    most = limit or 50
    query = ListJobs(
        status=status,
        limit=most + 1,
        before=_place(cursor) if cursor else None,
        error_codes=_error_codes(error_code) if error_code else (),
        brief=not full,
    )
    found = await context.service.list(query)
    page = found[:most]
    response.headers["Cache-Control"] = "no-store"
    return JobListView(
        jobs=[job_view(one, context) if full else job_summary(one) for one in page],
        next_cursor=_cursor(page[-1].record.place) if len(found) > most else None,
    )


@router.post("/v1/jobs/{job_id}/cancel", operation_id="cancel_job", summary="Cancel a job")
async def cancel_job(job_id: JobId, response: Response, context: ContextDep) -> JobView:
    """End the job as failed, with error_code cancelled. Also when it was cancelled before."""
    view = job_view(await context.service.cancel(job_id), context)
    response.headers.update(poll_headers(view))
    return view


@router.delete(
    "/v1/jobs/{job_id}",
    operation_id="delete_job",
    summary="Delete a job",
    status_code=204,
    response_class=Response,
)
async def delete_job(job_id: JobId, context: ContextDep) -> Response:
    """End the job if it lives, and remove it with its uploads and its takes."""
    await context.service.delete(job_id)
    try:
        await context.artifacts.delete_prefix(takes_prefix(job_id))
        await context.artifacts.delete_prefix(sources_prefix(job_id))
    except StorageError as error:
        # The store lists the audio as garbage: a runner deletes it later.
        logger.warning("The audio of deleted job %s is still there: %s", job_id, error)
    return Response(status_code=204)  # without a body there is no Content-Type


def _error_codes(text: str) -> tuple[ErrorCode, ...]:
    """The codes that ``text`` selects, such as ``cancelled``, or with ``!`` all others."""
    name = text.removeprefix("!")
    if name not in [*ErrorCode]:
        raise invalid_values([parameter_error("error_code", text)])
    return tuple(code for code in ErrorCode if (code == name) is (text == name))


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def _place(cursor: str) -> int:
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), "-_", validate=True)
    except (binascii.Error, ValueError):
        place = b""
    if not (place.isdigit() and len(place) < 20 and int(place) < _MAX_PLACE):
        raise invalid_values([parameter_error("cursor", cursor)])
    return int(place)
