"""Requires the API key on every route except the probes, the page at / and the description of the
API, before a byte of a body is read.

Upstream's clients send the key in other ways, too. On the routes that they use, it may be sent
without a scheme, as X-API-Key, or in the body, which the routes of BODY_KEY_PATHS then check
(``require_body_key``). One valid key is enough: an Authorization header may be that of a proxy in
front of the service.
"""

import hashlib
import hmac
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from acestep_ray.api.middleware.api_prefix import route_path
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.upstream.not_served import is_not_served
from acestep_ray.settings import Limits, Settings

OPEN_PATHS = frozenset({"/", "/health", "/ready", "/docs", "/openapi.json"})
"""The description of the API is that of the published source code; it holds limits of this service,
and nothing of its jobs. A browser can send no key before it has the page that asks for it."""
OPEN_FOLDERS = ("/studio/", "/docs/")
"""The files of the pages at / and /docs, which ask for the key."""
BODY_KEY_PATHS = frozenset(
    {
        *("/release_task", "/query_result", "/format_input", "/create_random_sample"),
        *("/v1/create_sample", "/v1/understand", "/v1/chat/completions"),
    }
)
UPSTREAM_PATHS = BODY_KEY_PATHS | {
    *("/v1/audio", "/v1/models", "/v1/model_inventory", "/v1/stats", "/v1/init"),
    *(f"/v1/lora/{name}" for name in ("status", "load", "unload", "toggle", "scale")),
}
BODY_KEY = "ai_token"
"""The field of a body that holds the key."""
_SENT_IN_HEADERS = "acestep_ray.key_sent_in_headers"
"""Set if no header held a valid key, so that the body has to: whether a header held any key."""


def key_digest(settings: Settings) -> str:
    """The digest that identifies the owner of the key in the store; "" if there is no API key."""
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    return hashlib.sha256(key.encode()).hexdigest() if key else ""


class Authentication:
    """ASGI middleware. If the settings have no key, every request is let through."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._digest = key_digest(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = route_path(scope) if scope["type"] == "http" else ""
        if scope["type"] != "http" or not self._digest or _is_open(path):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        upstream = path in UPSTREAM_PATHS or is_not_served(path)
        keys, sent = _keys(headers, upstream=upstream)
        if any(_fits(key.encode("latin-1", "replace"), self._digest) for key in keys):
            await self._app(scope, receive, send)
            return
        if path in BODY_KEY_PATHS and scope["method"] == "POST":
            await self._app({**scope, _SENT_IN_HEADERS: sent}, receive, send)
            return
        await _refusal(wrong=sent).response()(scope, receive, send)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def key_is_in_body(request: Request) -> bool:
    """Whether no header held a valid key, so that the body has to."""
    return _SENT_IN_HEADERS in request.scope


def limits_before_the_key(limits: Limits) -> Limits:
    """The limits of a body that may hold the key: no large files are read before it is checked."""
    return limits.model_copy(update={"upload_bytes": min(limits.upload_bytes, limits.text_bytes)})


def require_body_key(request: Request, fields: Mapping[str, object], settings: Settings) -> None:
    """Check the key in the body of a request. Raises Problem 401."""
    key = fields.get(BODY_KEY)
    text = key.strip() if isinstance(key, str) else ""
    if not _fits(text.encode("utf-8", "backslashreplace"), key_digest(settings)):
        raise _refusal(wrong=bool(text) or request.scope[_SENT_IN_HEADERS])


def _keys(headers: Headers, *, upstream: bool) -> tuple[list[str], bool]:
    """The keys that the headers hold, as Latin-1, and whether a key was sent in any form."""
    authorization = headers.get("authorization", "").strip()
    scheme, _, key = authorization.partition(" ")
    bearer = scheme.lower() == "bearer"
    found = [key.strip()] if bearer else []
    if upstream:
        found += [*([] if bearer else [authorization]), headers.get("x-api-key", "").strip()]
    keys = [one for one in found if one]
    return keys, bool(keys or key)


def _fits(key: bytes, digest: str) -> bool:
    return hmac.compare_digest(hashlib.sha256(key).hexdigest(), digest)


def no_valid_key(request: Request) -> Problem:
    """The 401 of a request without a valid key in its headers."""
    return _refusal(wrong=request.scope[_SENT_IN_HEADERS])


def _refusal(*, wrong: bool) -> Problem:
    challenge = ', error="invalid_token"' if wrong else ""
    return Problem(
        ProblemCode.INVALID_API_KEY if wrong else ProblemCode.MISSING_API_KEY,
        "The API key is not valid."
        if wrong
        else "An API key is needed: send the header Authorization: Bearer KEY.",
        headers={"WWW-Authenticate": f'Bearer realm="acestep-ray"{challenge}'},
    )
