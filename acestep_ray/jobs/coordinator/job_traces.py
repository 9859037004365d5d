"""Spans of what happens to a job while no runner has it: it waits again, or it ends."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound, StoreUnavailable
from acestep_ray.jobs.store.records import ChangeKind, JobChange, JobRecord
from acestep_ray.shared_work import start_task
from acestep_ray.tracing.tracer import Attribute, Tracer

MOST_WAITING = 10_000
"""Most jobs of which is kept since when they wait again."""
_NO_LONGER_QUEUED = frozenset({ChangeKind.STARTED, ChangeKind.ENDED, ChangeKind.DELETED})

Read = Callable[[str], Awaitable[JobRecord]]
"""Reads a job. Raises what operations.Get raises, and StoreUnavailable."""


class JobTraces:
    """``changed`` is an Observer (job_events.py).

    The end of a job that failed is recorded here, because it need not come from a runner: a job may
    be cancelled, or lose its worker too often. A runner records the end of one that succeeded.
    """

    def __init__(self, tracer: Tracer, read: Read) -> None:
        self._tracer = tracer
        self._read = read
        self._requeued: dict[str, float] = {}
        self._at_work: set[asyncio.Task[None]] = set()

    def changed(self, change: JobChange) -> None:
        """Record what the change ends. The job is read for that, but only if it ended without a
        result, or was given back to the queue."""
        if not self._tracer.on:
            return
        if change.kind is ChangeKind.REQUEUED:
            if len(self._requeued) < MOST_WAITING:
                self._requeued[change.job_id] = change.at
            return
        since = None
        if change.kind in _NO_LONGER_QUEUED:
            since = self._requeued.pop(change.job_id, None)
        failed = change.kind is ChangeKind.ENDED and change.status is Status.FAILED
        if failed or since is not None:
            task = start_task(self._record(change, since, failed))
            self._at_work.add(task)
            task.add_done_callback(self._at_work.discard)

    async def _record(self, change: JobChange, since: float | None, failed: bool) -> None:
        """``since``: when the job was given back to the queue that it leaves now; None: it does not
        leave it."""
        with suppress(JobNotFound, JobExpired, StoreUnavailable):
            record = await self._read(change.job_id)
            trace = trace_of(record)
            attributes: dict[str, Attribute] = {
                "acestep.job_id": change.job_id,
                "acestep.attempt": change.attempt,
                "acestep.task": change.task,
            }
            if since is not None:
                self._tracer.start("queue", parent=trace, attributes=attributes, at=since).end(
                    change.at
                )
            if failed:
                span = self._tracer.start(
                    "job", parent=trace, attributes=attributes, at=record.created_at
                )
                span.set("acestep.status", change.status)
                if change.error_code:
                    span.set("acestep.error_code", change.error_code)
                    span.fail(change.error_code)
                span.end(record.finished_at)


def trace_of(record: JobRecord) -> str:
    """The traceparent of the job's submit; empty: there is none, or the job cannot be read."""
    try:
        return str(json.loads(record.spec).get("trace", ""))
    except (ValueError, AttributeError):
        return ""
