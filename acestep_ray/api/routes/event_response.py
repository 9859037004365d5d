"""A stream of events as an HTTP response in the form of server-sent events."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.event_views import EventView
from acestep_ray.api.response_models import ProgressView
from acestep_ray.api.routes.job_view import job_summary, job_view
from acestep_ray.jobs.event_stream import Begin, EventStream, Happened
from acestep_ray.jobs.events import EventId, OfJob, Topic

RETRY_MS = 1000
"""Milliseconds after which clients whose connection was lost connect again."""
_STATE = "state"


class EventResponse(EventSourceResponse):
    """The items of an open stream. After ``events.heartbeat_seconds`` without one, a heartbeat is
    sent: proxies cut silent connections.

    Heartbeats are made here, not by the base class: they carry the id of what was sent last, and so
    must not overtake an event.
    """

    def __init__(self, stream: EventStream, topic: Topic, context: AppContext) -> None:
        self._stream = stream
        self._topic = topic
        self._context = context
        self._body = self._events()
        super().__init__(self._body, sep="\n", ping=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI. Also ends the stream if its client never began to read it."""
        async with aclosing(self._body):
            await super().__call__(scope, receive, send)

    async def _events(self) -> AsyncGenerator[ServerSentEvent, None]:
        heartbeat = self._context.settings.events.heartbeat_seconds
        async with aclosing(self._stream.items()) as items:
            while True:
                item = asyncio.ensure_future(anext(items, None))
                try:
                    while not (await asyncio.wait({item}, timeout=heartbeat))[0]:
                        yield ServerSentEvent(comment="", id=_text(self._stream.id), sep="\n")
                finally:
                    item.cancel()
                    await asyncio.wait({item})
                found = item.result()
                if found is None:
                    return
                yield self._begin(found) if isinstance(found, Begin) else self._event(found)

    def _begin(self, begin: Begin) -> ServerSentEvent:
        if isinstance(self._topic, OfJob):
            (job,) = begin.jobs
            data = job_view(job, self._context).model_dump(mode="json")
        else:
            data = {"jobs": [job_summary(job).model_dump(mode="json") for job in begin.jobs]}
        if begin.reset:
            data["reset"] = True
        return _sse(_STATE, begin.id, data, retry=RETRY_MS)

    def _event(self, happened: Happened) -> ServerSentEvent:
        event = happened.event
        view = EventView(
            job_id=event.job_id,
            kind=event.kind,
            at=event.at,
            status=event.status,
            attempt=event.attempt,
            progress=event.progress and ProgressView(**event.progress.model_dump()),
            error_code=event.error_code,
            job=happened.job and job_view(happened.job, self._context),
        )
        data = view.model_dump(mode="json")
        data = {name: value for name, value in data.items() if value is not None}
        return _sse(event.kind, happened.id, data)


def _sse(
    name: str, event_id: EventId | None, data: dict[str, Any], retry: int | None = None
) -> ServerSentEvent:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    id_text = _text(event_id) if event_id else None
    return ServerSentEvent(text, event=name, id=id_text, retry=retry, sep="\n")


def _text(event_id: EventId) -> str:
    return f"{event_id[0]}-{event_id[1]}"
