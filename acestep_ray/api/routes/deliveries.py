"""``GET /v1/jobs/{id}/deliveries``: how the messages to a job's webhook are."""

from fastapi import APIRouter, Response

from acestep_ray.api.dependencies import ContextDep
from acestep_ray.api.response_models import DeliveriesView, DeliveryView
from acestep_ray.api.routes.jobs import JobId
from acestep_ray.jobs.store.records import DeliveryRecord
from acestep_ray.webhooks.message import message_type

router = APIRouter(tags=["jobs"])


@router.get(
    "/v1/jobs/{job_id}/deliveries",
    operation_id="list_deliveries",
    summary="Look at a job's webhook messages",
)
async def list_deliveries(job_id: JobId, response: Response, context: ContextDep) -> DeliveriesView:
    """What was sent to the job's webhook_url, or will be, and what came of it."""
    found = await context.service.deliveries(job_id)
    response.headers["Cache-Control"] = "no-store"
    return DeliveriesView(deliveries=[_view(record) for record in found])


def _view(record: DeliveryRecord) -> DeliveryView:
    return DeliveryView(
        delivery_id=record.delivery_id,
        type=message_type(record.kind),
        state=record.state,
        created_at=record.created_at,
        tries=record.tries,
        last_try_at=record.last_try_at,
        next_try_at=record.next_at,
        http_status=record.http_status,
        error=record.error,
    )
