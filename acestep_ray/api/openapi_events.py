"""The event streams in the OpenAPI document, which has no form of its own for their events."""

from typing import Any

from acestep_ray.api.event_views import EventView, JobsStateEventView, JobStateEventView
from acestep_ray.jobs.events import EventKind

EVENT_VIEWS = (JobStateEventView, JobsStateEventView, EventView)
"""Data of events. No route returns them as a whole response, so they are added by hand."""
_PATHS = {"/v1/jobs/{job_id}/events": JobStateEventView, "/v1/events": JobsStateEventView}
_EXAMPLE = (
    "id: 5f2b0c2d8a3e4f0f9b0a7d4f6f1f2a3b-42\n"
    "event: progress\n"
    'data: {"job_id":"550e8400-e29b-41d4-a716-446655440000","kind":"progress","at":1700000005.0,'
    '"status":"running","attempt":1,'
    '"progress":{"stage":"diffusion","step":3,"total":8,"fraction":0.55}}\n\n'
)


def describe_events(document: dict[str, Any]) -> None:
    """Complete the operations of the streams, and add the schemas of the data of their events."""
    schemas = document["components"]["schemas"]
    for view in EVENT_VIEWS:
        schema = view.model_json_schema(ref_template="#/components/schemas/{model}")
        for name, part in schema.pop("$defs", {}).items():
            schemas.setdefault(name, part)
        schemas[view.__name__] = schema
    for path, state in _PATHS.items():
        responses = document["paths"][path]["get"]["responses"]
        responses["200"] = {
            "description": "A stream of server-sent events.",
            "content": {
                "text/event-stream": {
                    "schema": {
                        "type": "string",
                        "description": f"Events: state (data: {state.__name__}), and "
                        f"{', '.join(EventKind)} (data: {EventView.__name__}).",
                    },
                    "example": _EXAMPLE,
                }
            },
        }
    document["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]["204"] = {
        "description": "The job has ended, and Last-Event-ID is the id of its last event: there is "
        "nothing more to follow."
    }
