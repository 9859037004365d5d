"""Serves every route under ``/api`` too, because some of upstream's clients use that prefix."""

from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/api"


class ApiPrefix:
    """ASGI middleware. A path that begins with /api/ is routed without it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and route_path(scope).startswith(f"{PREFIX}/"):
            # As if the application were mounted there: the path itself is kept, for the log.
            scope = {**scope, "root_path": scope.get("root_path", "") + PREFIX}
        await self._app(scope, receive, send)


def route_path(scope: Scope) -> str:
    """The path as the routes have it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
