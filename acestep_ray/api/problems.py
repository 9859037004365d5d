"""Errors as RFC 9457 ``application/problem+json``, each with a stable ``code``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


class ProblemCode(StrEnum):
    """Stable names that clients rely on, each with its HTTP status: add to them, never change one.

    docs/api.md lists them for readers.
    """

    status: HTTPStatus

    def __new__(cls, code: str, status: int) -> "ProblemCode":
        member = str.__new__(cls, code)
        member._value_ = code
        member.status = HTTPStatus(status)
        return member

    MALFORMED_BODY = "malformed_body", 400
    PATH_REFUSED = "path_refused", 400
    NOT_DEPLOYED = "not_deployed", 400
    MISSING_API_KEY = "missing_api_key", 401
    INVALID_API_KEY = "invalid_api_key", 401
    OUTSIDE_AUDIO = "outside_audio", 403
    FOREIGN_ORIGIN = "foreign_origin", 403
    NOT_FOUND = "not_found", 404
    JOB_NOT_FOUND = "job_not_found", 404
    AUDIO_NOT_FOUND = "audio_not_found", 404
    METHOD_NOT_ALLOWED = "method_not_allowed", 405
    ALREADY_ENDED = "already_ended", 409
    JOB_EXPIRED = "job_expired", 410
    BODY_TOO_LARGE = "body_too_large", 413
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", 415
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable", 416
    INVALID_VALUE = "invalid_value", 422
    INVALID_AUDIO = "invalid_audio", 422
    INVALID_IDEMPOTENCY_KEY = "invalid_idempotency_key", 422
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", 422
    QUEUE_FULL = "queue_full", 429
    PLANNER_BUSY = "planner_busy", 429
    INTERNAL = "internal", 500
    JOB_FAILED = "job_failed", 500
    NOT_READY = "not_ready", 503
    UNAVAILABLE = "unavailable", 503
    STORAGE_UNAVAILABLE = "storage_unavailable", 503
    TOO_MANY_STREAMS = "too_many_streams", 503
    STILL_RUNNING = "still_running", 504


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field, as a sentence, and what it accepts."""

    field: str
    detail: str
    legal: str = ""


class Problem(Exception):
    """A request that cannot be served. ``detail`` is a sentence for the client."""

    def __init__(
        self,
        code: ProblemCode,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = code.status
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def response(self) -> JSONResponse:
        """The HTTP response."""
        detail = printable(self.detail)
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status,
            "detail": detail,
            "error": detail,  # upstream's VST plug-in and studio page show this one
            "code": self.code,
            **self.extra,
        }
        if self.errors:
            body["errors"] = [
                {"field": printable(e.field), "detail": printable(e.detail)}
                | ({"legal": e.legal} if e.legal else {})
                for e in self.errors
            ]
        headers = {"Cache-Control": "no-store", **self.headers}
        return JSONResponse(body, self.status, headers, media_type=MEDIA_TYPE)


def invalid_values(
    errors: Sequence[FieldError], code: ProblemCode = ProblemCode.INVALID_VALUE
) -> Problem:
    """A 422 with one entry per field. ``detail`` contains them (the first ten), so that it can be
    read alone."""
    shown = [error.detail for error in errors[:10]]
    if len(errors) > len(shown):
        shown.append(f"And {len(errors) - len(shown)} more.")
    return Problem(code, " ".join(shown), errors=errors)


def printable(text: str) -> str:
    """The text in a form that UTF-8 can hold: a client's JSON may contain half a surrogate pair."""
    return text.encode("utf-8", "backslashreplace").decode()
