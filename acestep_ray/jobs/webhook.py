"""What a request wants to be called for, as it is stored with its job."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from acestep_ray.jobs.events import EventKind, JobEvent

WEBHOOK_KINDS = tuple(kind for kind in EventKind if kind is not EventKind.DELETED)
"""The kinds of events that a webhook can subscribe to."""
PROGRESS_KINDS = frozenset({EventKind.STAGE, EventKind.PROGRESS})
"""Of these, those of which messages are not stored."""


class Webhook(BaseModel):
    """An address, and the kinds of events that are sent to it."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(description="http or https.")
    events: tuple[EventKind, ...] = Field((EventKind.ENDED,), description="Of WEBHOOK_KINDS.")


@dataclass(frozen=True)
class ProgressDelivery:
    """Progress of a job that is to be sent to its webhook. Only in memory, and sent at most once.

    ``webhook``: JSON of Webhook. ``event``: of the kind STAGE or PROGRESS.
    """

    webhook: str
    event: JobEvent
