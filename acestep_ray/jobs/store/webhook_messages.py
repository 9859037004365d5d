"""Which changes become webhook messages, and the messages' ids: the same for every store."""

from collections.abc import Iterable

from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.store.records import ChangeKind, JobChange

EVENTS = {
    ChangeKind.SUBMITTED: EventKind.SUBMITTED,
    ChangeKind.STARTED: EventKind.RUNNING,
    ChangeKind.REQUEUED: EventKind.REQUEUED,
    ChangeKind.ENDED: EventKind.ENDED,
}
"""The kind of event that a message reports, by the kind of change."""


def joined_kinds(kinds: Iterable[str]) -> str:
    """``Submit.webhook_kinds`` as a column."""
    return ",".join(kinds)


def event_to_deliver(kind: ChangeKind, webhook_kinds: str) -> EventKind | None:
    """The message that a change causes, or None; ``webhook_kinds``: as ``joined_kinds`` returns."""
    event = EVENTS.get(kind)
    return event if event in webhook_kinds.split(",") else None


def delivery_id(change: JobChange, event: EventKind) -> str:
    """The id of the message about a change.

    It follows from the change, so a change that is applied twice cannot cause two messages: a job
    is submitted and ends once, and each of its attempts starts and is given back at most once.
    """
    return f"{change.job_id}-{event}-{change.attempt}"
