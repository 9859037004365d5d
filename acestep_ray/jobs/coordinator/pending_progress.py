"""Progress that webhooks subscribe to: the latest of each job, and not too often."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import ValidationError

from acestep_ray.jobs.events import EventKind, JobEvent
from acestep_ray.jobs.webhook import PROGRESS_KINDS, ProgressDelivery, Webhook

logger = logging.getLogger(__name__)


@dataclass
class _Subscription:
    webhook: str
    kinds: frozenset[EventKind]
    due_at: float = 0.0
    event: JobEvent | None = None


class PendingProgress:
    """The running jobs whose webhooks subscribe to progress.

    ``seconds``: time between two messages of one job, at least. ``clock``: seconds, monotonic.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._jobs: dict[str, _Subscription] = {}

    def subscribe(self, job_id: str, webhook: str) -> None:
        """A job with this webhook (JSON; empty: none) runs."""
        if not webhook or job_id in self._jobs:
            return
        try:
            kinds = PROGRESS_KINDS & frozenset(Webhook.model_validate_json(webhook).events)
        except ValidationError:  # another release stored it
            logger.warning("The webhook of job %s cannot be read", job_id)
            return
        if kinds:
            self._jobs[job_id] = _Subscription(webhook, kinds)

    def drop(self, job_id: str) -> None:
        """The job no longer runs: nothing more is sent of its progress."""
        self._jobs.pop(job_id, None)

    def put(self, event: JobEvent) -> bool:
        """Keep an event for the webhook of its job. Returns whether it subscribes to it."""
        job = self._jobs.get(event.job_id)
        if job is None or event.kind not in job.kinds:
            return False
        job.event = event
        return True

    def take(self, limit: int) -> list[ProgressDelivery]:
        """At most ``limit`` messages that are due now."""
        now = self._clock()
        due = [job for job in self._jobs.values() if job.event and job.due_at <= now][:limit]
        taken = []
        for job in due:
            assert job.event is not None
            taken.append(ProgressDelivery(job.webhook, job.event))
            job.event, job.due_at = None, now + self._seconds
        return taken

    def seconds_left(self) -> float:
        """Seconds until the next message is due; infinite if there is none."""
        due = [job.due_at for job in self._jobs.values() if job.event]
        return max(0.0, min(due, default=float("inf")) - self._clock())
