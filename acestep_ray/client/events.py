"""Events of a job, as its stream has them (docs/events.md)."""

import json

import httpx2
from pydantic import ValidationError

from acestep_ray.client.models import JobState, Model, Progress

LAST = ("ended", "deleted")
"""After these kinds nothing more comes."""


class Event(Model):
    """Something that happened to a job.

    ``kind``: ``state`` (the stream begins, or begins again), ``running``, ``stage``, ``progress``,
    ``requeued``, ``ended`` or ``deleted``; newer services may have others. ``at``: epoch seconds,
    None for ``state``. ``status``: the job's status after it. ``attempt``: rises when the job is
    requeued. ``progress``: of ``stage`` and ``progress``, and of ``state`` if the job runs.
    ``job``: of ``state`` and ``ended``. ``reset``: of ``state``, if events before it were lost.
    """

    kind: str
    id: str = ""
    job_id: str
    status: str
    at: float | None = None
    attempt: int = 0
    progress: Progress | None = None
    error_code: str | None = None
    job: JobState | None = None
    reset: bool = False

    def applied_to(self, state: JobState) -> JobState:
        """The state of the job after this event."""
        if self.job:
            return self.job
        change: dict[str, object] = {"status": self.status, "progress": self.progress}
        if self.status != "queued":
            change |= {"queue_position": 0, "eta_seconds": None}
        if self.error_code:
            change["error_code"] = self.error_code
        return state.model_copy(update=change)


def event_of(sent: httpx2.ServerSentEvent) -> Event | None:
    """The event that a stream sent; None for a heartbeat, which has no data. Raises ValueError."""
    if not sent.data:
        return None
    data = json.loads(sent.data)
    if not isinstance(data, dict):
        raise ValueError("the data of an event are not an object")
    if sent.event == "state":
        data = {"job": data, **{key: data.get(key) for key in ("job_id", "status", "progress")}} | {
            "reset": data.get("reset", False),
            "error_code": data.get("error_code"),
        }
    try:
        return Event.model_validate({**data, "kind": sent.event, "id": sent.id})
    except ValidationError as error:
        raise ValueError(str(error)) from error
