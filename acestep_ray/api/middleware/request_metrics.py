"""Counts requests by route and status, and measures how long their responses take to begin."""

import re
import time
from collections.abc import Callable, Iterable

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acestep_ray.api.middleware.api_prefix import PREFIX, route_path
from acestep_ray.api.middleware.trailing_slash import without_slash
from acestep_ray.metrics import HTTP_REQUESTS, HTTP_SECONDS, OTHER, Meter

METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT", "PATCH"})
GONE = "499"
"""The status of a request whose client went away before the response began; nginx uses it, too."""
FAILED = "500"


class RequestMetrics:
    """ASGI middleware around everything else, so that responses of the other middleware count.

    ``routes`` returns the application's routes, once all are there.
    """

    def __init__(
        self, app: ASGIApp, meter: Meter, routes: Callable[[], Iterable[BaseRoute]]
    ) -> None:
        self._app = app
        self._meter = meter
        self._routes = routes
        self._templates: Templates | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._templates is None:
            self._templates = Templates(self._routes())
        method: str = scope["method"]
        route = self._templates.of(scope)
        method = method if method in METHODS else OTHER
        began = time.perf_counter()
        status = ""

        async def watched_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                seconds = time.perf_counter() - began
                self._meter.observe(HTTP_SECONDS, seconds, route=route, method=method)
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except Exception:
            status = status or FAILED
            raise
        finally:
            self._meter.add(HTTP_REQUESTS, route=route, method=method, code=status or GONE)


class Templates:
    """The template of a path, such as ``/v1/jobs/{job_id}``; a label must not hold the path."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._fixed: set[str] = set()
        self._patterns: list[tuple[re.Pattern[str], str]] = []
        for route in routes:
            if isinstance(route, Route) and "{" in route.path:
                self._patterns.append((route.path_regex, route.path))
            elif isinstance(route, Route):
                self._fixed.add(route.path)

    def of(self, scope: Scope) -> str:
        """The template, also if the method is not allowed; OTHER if no route has the path."""
        path = route_path(scope)
        if path.startswith(f"{PREFIX}/"):
            path = path.removeprefix(PREFIX)
        path = without_slash(path)
        if path in self._fixed:
            return path
        found = (template for pattern, template in self._patterns if pattern.match(path))
        return next(found, OTHER)
