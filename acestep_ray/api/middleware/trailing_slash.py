"""Serves upstream's routes with a slash at the end too, as some of their clients write them."""

from starlette.types import ASGIApp, Receive, Scope, Send

from acestep_ray.api.middleware.api_prefix import route_path
from acestep_ray.api.middleware.authentication import UPSTREAM_PATHS


class TrailingSlash:
    """ASGI middleware, before the key is checked: how it may be sent depends on the path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (path := route_path(scope)) != without_slash(path):
            scope = {**scope, "path": scope["path"][:-1]}
        await self._app(scope, receive, send)


def without_slash(path: str) -> str:
    """The path of one of upstream's routes without a slash at its end; other paths unchanged."""
    shorter = path.removesuffix("/")
    return shorter if shorter in UPSTREAM_PATHS else path
