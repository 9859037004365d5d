"""Gives each request its id and its span, and lets everything that it causes have both."""

import logging
import re
from collections.abc import Callable
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acestep_ray.tracing.tracer import Span, Tracer, read_traceparent
from acestep_ray.work_context import work_for

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
USABLE = re.compile(r"[!-~]{1,100}", re.A)
"""Ids of clients that are taken over: visible ASCII characters, so that one is one word in a
log."""
READS = frozenset({"GET", "HEAD", "OPTIONS"})
POLLS = frozenset({"/query_result"})
"""Routes that only read, though their method is POST."""
GONE = 499
"""Status in the span of a request whose client went away before the response began."""


class RequestContext:
    """ASGI middleware around everything else.

    A request that only reads has a span only if it continues a client's trace: polls would be most
    of all traces otherwise. ``route`` returns the template of a request's path. ``id_is_returned``:
    the server around the application returns the request's X-Request-ID by itself, and gives
    requests one that have none.
    """

    def __init__(
        self,
        app: ASGIApp,
        tracer: Tracer,
        route: Callable[[Scope], str],
        id_is_returned: bool = False,
    ) -> None:
        self._app = app
        self._tracer = tracer
        self._route = route
        self._id_is_returned = id_is_returned

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        sent = headers.get(HEADER, "")
        request_id = sent if USABLE.fullmatch(sent) else str(uuid4())
        trace = read_traceparent(headers.get("traceparent", ""))
        span = self._span(scope, trace, request_id)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if not (self._id_is_returned and request_id == sent):
                    MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        with work_for(request_id=request_id, trace=span.trace if span else trace):
            if span is None:
                await self._app(scope, receive, send_with_id)
                return
            with span:
                try:
                    await self._app(scope, receive, send_with_id)
                finally:
                    span.set("http.response.status_code", status or GONE)
                    if status >= 500:
                        span.fail(str(status))

    def _span(self, scope: Scope, trace: str, request_id: str) -> Span | None:
        """The request's span; None if it has none."""
        if not self._tracer.on:
            return None
        method, route = scope["method"], self._route(scope)
        if not trace and (method in READS or route in POLLS):
            return None
        attributes = {
            "http.request.method": method,
            "http.route": route,
            "url.path": scope["path"],
            "acestep.request_id": request_id,
        }
        return self._tracer.start(
            f"{method} {route}", parent=trace, kind="server", attributes=attributes
        )
