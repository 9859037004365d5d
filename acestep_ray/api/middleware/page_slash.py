"""Leads a browser from the base path to the same path with a slash.

The Studio's page names everything relative to itself, so that it works under any base path; below
``/music`` without the slash, its names would lead beside it.
"""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from acestep_ray.api.middleware.api_prefix import PREFIX, route_path


class PageSlash:
    """ASGI middleware, around ApiPrefix. The address in the response is relative, because a proxy
    may have removed the beginning of the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            last = scope["path"].rpartition("/")[2]
            if last and route_path(scope) in ("", PREFIX):
                query = scope.get("query_string", b"").decode("latin-1")
                address = f"{last}/?{query}" if query else f"{last}/"
                await RedirectResponse(address, 307)(scope, receive, send)
                return
        await self._app(scope, receive, send)
