"""Errors as RFC 9457 ``application/problem+json``, each with a stable ``code``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field, as a sentence, and what it accepts."""

    field: str
    detail: str
    legal: str = ""


class Problem(Exception):
    """A request that cannot be answered as asked. ``detail`` is a sentence for the client."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def response(self) -> JSONResponse:
        """The answer."""
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": printable(self.detail),
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


def invalid_values(errors: Sequence[FieldError], code: str = "invalid_value") -> Problem:
    """A 422 with one entry a field; ``detail`` says them all, so that it can be read alone."""
    shown = [error.detail for error in errors[:10]]
    if len(errors) > len(shown):
        shown.append(f"And {len(errors) - len(shown)} more.")
    return Problem(422, code, " ".join(shown), errors=errors)


def printable(text: str) -> str:
    """Text as UTF-8 can hold it: a client's JSON may bring halves of surrogate pairs."""
    return text.encode("utf-8", "backslashreplace").decode()
