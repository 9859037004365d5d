"""Which web pages may call the service from a browser: CORS, and what CORS does not prevent."""

import logging
import re
from urllib.parse import urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)

LOOPBACK = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?"
METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
EXPOSED = (
    *("Retry-After", "Location", "Content-Range", "Content-Disposition", "ETag"),
    *("Accept-Ranges", "Content-Length", "Idempotency-Replayed", "X-Request-ID"),
)
"""Headers of responses that a page may read."""


class ForeignPages:
    """ASGI middleware: refuses requests of web pages that are not allowed to change anything.

    CORS does not prevent them. A browser sends a form, or text, of any page without asking first,
    and only keeps the response from the page: so any page could fill the queue of a service without
    a key.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._origins = frozenset({*settings.cors_origins, _origin(settings.public_url)})
        self._loopback = "loopback" in settings.cors_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            origin = headers.get("origin", "")
            # CORS answers a preflight before, if any page is allowed.
            asks = "access-control-request-method" in headers
            changes = scope["method"] not in ("GET", "HEAD", "OPTIONS")
            refusable = changes or (scope["method"] == "OPTIONS" and asks)
            if origin and refusable and not self._allows(origin, headers):
                await _refused(origin)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _allows(self, origin: str, headers: Headers) -> bool:
        if "*" in self._origins or origin in self._origins:
            return True
        if self._loopback and re.fullmatch(LOOPBACK, origin):
            return True
        # Browsers say themselves whether it is the service's own page. Older ones do not, and none
        # does on plain HTTP; a proxy may change the host.
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        try:
            return urlsplit(origin).netloc == headers.get("host", "")
        except ValueError:  # no browser sends such an origin
            return False


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class PreflightRefusals(CORSMiddleware):
    """CORS, with a reason for whoever looks for the cause in the browser's tools or in the log."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The response to a browser that asks whether a page may call."""
        origin = request_headers["origin"]
        if self.is_allowed_origin(origin):
            return super().preflight_response(request_headers)
        return _refused(origin)


def _refused(origin: str) -> Response:
    logger.warning("A web page of the origin %.200r is refused: see ACESTEP_CORS_ORIGINS", origin)
    return Problem(
        ProblemCode.FOREIGN_ORIGIN,
        "This web page may not use the service: its origin is not one that the server's setting "
        f"ACESTEP_CORS_ORIGINS names; it is {origin[:200]!r}.",
        headers={"Vary": "Origin"},
    ).response()


def add_cross_origin(app: FastAPI, settings: Settings) -> None:
    """Let pages of the origins in the settings call the service, and no others.

    It runs before the check of the key, because a browser sends no key with a preflight.
    """
    app.add_middleware(ForeignPages, settings=settings)
    origins = [one for one in settings.cors_origins if one not in ("loopback", "none")]
    loopback = "loopback" in settings.cors_origins
    if not (origins or loopback):
        return
    app.add_middleware(
        PreflightRefusals,
        allow_origins=origins,
        allow_origin_regex=LOOPBACK if loopback else None,
        allow_methods=METHODS,
        allow_headers=["*"],
        expose_headers=EXPOSED,
    )
