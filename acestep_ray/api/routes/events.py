"""Events of jobs as server-sent events: of one job, and of all jobs of the client."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.middleware.authentication import key_digest
from acestep_ray.api.routes.event_response import EventResponse
from acestep_ray.api.routes.jobs import JobId
from acestep_ray.jobs.events import EventId, OfJob, OfOwner, Topic

router = APIRouter(tags=["jobs"])

UNKNOWN_ID: EventId = ("", 0)
"""Stands for an id that this service did not make: no event is known to come after it."""

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="The id of the last event that was received: the stream goes on after it. "
        "Clients of server-sent events send it when they connect again.",
        examples=["5f2b0c2d8a3e4f0f9b0a7d4f6f1f2a3b-42"],
    ),
]


@router.get(
    "/v1/jobs/{job_id}/events",
    operation_id="job_events",
    summary="Follow a job",
    response_class=Response,
)
async def job_events(
    job_id: JobId, context: ContextDep, last_event_id: LastEventId = None
) -> Response:
    """Server-sent events: first ``state``, then what happens to the job, at the end ``ended`` with
    its result. docs/events.md describes them."""
    return await _events(OfJob(job_id), last_event_id, context)


@router.get(
    "/v1/events",
    operation_id="events",
    summary="Follow all jobs",
    response_class=Response,
)
async def events(context: ContextDep, last_event_id: LastEventId = None) -> Response:
    """Server-sent events of the jobs that were submitted with the client's API key: first
    ``state``, the jobs that have not ended, then what happens to any. docs/events.md describes
    them."""
    return await _events(OfOwner(key_digest(context.settings)), last_event_id, context)


async def _events(topic: Topic, last_event_id: str | None, context: AppContext) -> Response:
    stream = context.service.events(topic, _event_id(last_event_id) if last_event_id else None)
    if not await stream.open():
        # The one response after which browsers do not connect again.
        return Response(status_code=204, headers={"Cache-Control": "no-store"})
    return EventResponse(stream, topic, context)


def _event_id(text: str) -> EventId:
    epoch, _, version = text.rpartition("-")
    known = epoch.isalnum() and version.isascii() and version.isdigit() and len(version) < 19
    return (epoch, int(version)) if known else UNKNOWN_ID
