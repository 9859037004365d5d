"""Wants the API key on every route but the probes, before a byte of a body is read."""

import hashlib
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.settings import Settings

OPEN_PATHS = frozenset({"/health", "/ready"})


def key_digest(settings: Settings) -> str:
    """Names the key's owner in the store without keeping the key; "" where the service is open."""
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    return hashlib.sha256(key.encode()).hexdigest() if key else ""


class Authentication:
    """ASGI middleware. With no key set, everybody may pass."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._digest = key_digest(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._digest or self._open(scope):
            await self._app(scope, receive, send)
            return
        scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
        digest = hashlib.sha256(key.strip().encode("latin-1", "replace")).hexdigest()
        if scheme.lower() == "bearer" and hmac.compare_digest(digest, self._digest):
            await self._app(scope, receive, send)
            return
        wrong = ', error="invalid_token"' if key else ""
        problem = Problem(
            ProblemCode.INVALID_API_KEY if key else ProblemCode.MISSING_API_KEY,
            "The API key is not valid."
            if key
            else "An API key is needed: send the header Authorization: Bearer KEY.",
            headers={"WWW-Authenticate": f'Bearer realm="acestep-ray"{wrong}'},
        )
        await problem.response()(scope, receive, send)

    def _open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return path.removeprefix(scope.get("root_path", "")) in OPEN_PATHS
