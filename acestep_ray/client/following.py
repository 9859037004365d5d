"""How a job is followed: by polls up to its end, and by its stream of events."""

import time
from collections.abc import Callable

import httpx2

from acestep_ray.client.core import BROKEN, Core, is_cut, job_path, unexpected
from acestep_ray.client.errors import (
    ApiError,
    ConnectionFailed,
    JobFailed,
    RateLimited,
    ServiceUnavailable,
    WaitTimeout,
)
from acestep_ray.client.events import LAST, Event, event_of
from acestep_ray.client.job import JobView
from acestep_ray.client.models import JobState
from acestep_ray.client.problems import error_of, is_temporary
from acestep_ray.client.retries import Tries
from acestep_ray.client.steps import (
    Close,
    Emit,
    Flow,
    Notify,
    Pause,
    Request,
    open_response,
    read_event,
)

LONG_POLL = 25.0
"""Seconds that a poll waits for another status; proxies often end a silent connection after 30."""
SHORT_POLL = 1.0
LONGEST_SHORT_POLL = 5.0
"""The same if progress is wanted: of a job that runs, and at most of one that is queued."""
SILENT_SECONDS = 30.0
"""A stream has a heartbeat more often than the usual time limit and so many seconds."""


def wait(
    core: Core,
    job: JobView,
    timeout: float | None,
    progress: Callable[[], object] | None,
    raise_on_failure: bool,
) -> Flow[None]:
    """See Job.wait; ``progress`` is called without arguments."""
    deadline = None if timeout is None else time.monotonic() + timeout
    shown: JobState | None = None
    poll = 0.0  # the first one returns at once: the state may be old
    while not (job.ended and (job.result or job.status == "failed")):
        seconds = core.retries.outage
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if left is not None:
            poll, seconds = min(poll, left), min(seconds, left)
        asked_at = time.monotonic()
        try:
            state = yield from core.job(job.id, wait=poll, seconds=seconds, most_seconds=left)
        except (ConnectionFailed, RateLimited, ServiceUnavailable) as error:
            if seconds < core.retries.outage:  # the deadline, and not the patience, was reached
                raise _timeout(job, timeout) from error
            raise
        changed = state.status != job.status
        job.update(state)
        if progress and state != shown:
            yield Notify(progress)
            shown = state
        if state.ended:
            break
        if deadline is not None and time.monotonic() >= deadline:
            raise _timeout(job, timeout)
        rest = poll - (time.monotonic() - asked_at)
        if rest > 0.1 and not changed:
            # The service is ending, or a proxy does not let it wait: no faster than that.
            yield Pause(min(rest, SHORT_POLL))
        poll = _short_poll(state) if progress else LONG_POLL
    else:
        if progress and shown is None:
            yield Notify(progress)
    if raise_on_failure:
        check_success(job)


def _short_poll(state: JobState) -> float:
    """Seconds until progress is read again: the longer a job will wait, the less often."""
    waiting = min(LONGEST_SHORT_POLL, (state.eta_seconds or 0) / 4)
    return max(SHORT_POLL, waiting if state.status == "queued" else 0)


def _timeout(job: JobView, timeout: float | None) -> WaitTimeout:
    return WaitTimeout(
        f"The job has not ended within {timeout:g} s; it is {job.status}.", job=job.state
    )


def check_success(job: JobView) -> None:
    """Raise JobFailed if it has failed."""
    if job.status == "failed":
        raise JobFailed(job.error or "The job failed.", code=job.error_code or "", job=job.state)


def stream(core: Core, job: JobView) -> Flow[None]:
    """See Job.stream; emits Event."""
    tries = Tries(core.retries, core.retries.outage)
    last_id = ""
    while True:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        request = Request(
            "GET", f"{job_path(job.id)}/events", headers=headers, extra_seconds=SILENT_SECONDS
        )
        error: ApiError
        try:
            answer = yield from open_response(request)
            if answer.status == 204:
                return
            if answer.status == 200:
                if answer.media_type != "text/event-stream":
                    raise unexpected(answer, f"its Content-Type is {answer.media_type}")
                while (sent := (yield from read_event())) is not None:
                    event = _event(sent)
                    tries.succeeded()
                    last_id = sent.id or last_id
                    if event is None:
                        continue
                    job.update(event.applied_to(job.state))
                    yield Emit(event)
                    if event.kind in LAST:
                        yield Close()
                        return
                error, temporary = ConnectionFailed("The stream of events was ended."), True
            else:
                error, temporary = error_of(answer), is_temporary(answer)
        except BROKEN as cause:
            error, temporary = core.not_reached(cause), is_cut(cause)
        yield Close()
        pause = tries.pause(error.retry_after) if temporary else None
        if pause is None:
            raise error
        yield Pause(pause)


def _event(sent: httpx2.ServerSentEvent) -> Event | None:
    """The event, or None for a heartbeat. What cannot be read counts as a broken connection."""
    try:
        return event_of(sent)
    except ValueError as error:
        raise httpx2.RemoteProtocolError(f"an event cannot be read: {error}") from error
