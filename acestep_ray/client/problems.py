"""From a response that is an error to the exception for it."""

import json
from http import HTTPStatus
from typing import Any

from acestep_ray.client.errors import (
    ApiError,
    AuthenticationFailed,
    Conflict,
    FieldError,
    Gone,
    InvalidRequest,
    NotFound,
    QueueFull,
    RateLimited,
    ServerError,
    ServiceUnavailable,
    UnexpectedResponse,
)
from acestep_ray.client.retries import retry_after_of
from acestep_ray.client.steps import Answer

_KINDS: dict[int, type[ApiError]] = {
    401: AuthenticationFailed,
    403: AuthenticationFailed,
    404: NotFound,
    409: Conflict,
    410: Gone,
    429: RateLimited,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}


def is_problem(answer: Answer) -> bool:
    """Whether the error comes from the service itself, and not from a proxy before it."""
    return answer.media_type == "application/problem+json"


def is_temporary(answer: Answer) -> bool:
    """Whether the same request may succeed later.

    Serve's proxy answers in plain text while the application starts (404, 503) and when the process
    that had the request has died (500); other proxies have pages of their own for 5xx.
    """
    if is_problem(answer):
        return answer.status in (429, 503)
    plain_404 = answer.status == 404 and answer.media_type == "text/plain"
    return answer.status == 429 or answer.status >= 500 or plain_404


def error_of(answer: Answer) -> ApiError:
    """The exception for a response whose status is none of success."""
    problem = _problem(answer) if is_problem(answer) else {}
    code = str(problem.get("code", ""))
    kind = QueueFull if code == "queue_full" else _kind(answer.status)
    detail = str(problem.get("detail") or _plain_detail(answer))
    if answer.status == 404 and not problem:
        kind, code, detail = _of_no_service(answer)
    if answer.status == 401 or (answer.status == 403 and not is_problem(answer)):
        detail = _about_the_key(code, detail)
    return kind(
        detail,
        status=answer.status,
        code=code,
        errors={error.field: error for error in _field_errors(problem)},
        request_id=answer.headers.get("x-request-id"),
        retry_after=retry_after_of(answer.headers),
    )


def _of_no_service(answer: Answer) -> tuple[type[ApiError], str, str]:
    """What a 404 means that the service did not make: it says nothing about a job. The code is that
    of a service that is not ready, or empty."""
    if is_temporary(answer):
        detail = (
            "No acestep-ray service answers at this address (404 Not Found): it is starting, or "
            "the address is another server's. Check ACESTEP_URL, or base_url."
        )
        return ServiceUnavailable, "not_ready", detail
    detail = (
        "The address is not one of an acestep-ray service (404 Not Found). Check ACESTEP_URL, or "
        "base_url."
    )
    return UnexpectedResponse, "", detail


def _about_the_key(code: str, detail: str) -> str:
    """Why a request was not allowed, by the names under which a user of the client gives a key."""
    if code == "missing_api_key":
        return "The service needs an API key: set ACESTEP_API_KEY, or give api_key."
    return f"{detail.rstrip('.')}. Check ACESTEP_API_KEY, or api_key."


def _kind(status: int) -> type[ApiError]:
    if status < 400:
        return UnexpectedResponse
    return _KINDS.get(status, InvalidRequest if status < 500 else ServerError)


def _problem(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(answer.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _field_errors(problem: dict[str, Any]) -> list[FieldError]:
    entries = problem.get("errors")
    return [
        FieldError(str(one.get("field")), str(one.get("detail")), one.get("legal"))
        for one in (entries if isinstance(entries, list) else [])
        if isinstance(one, dict)
    ]


def _plain_detail(answer: Answer) -> str:
    """A sentence for an error without one: the status, where a redirect leads, the beginning of a
    plain text."""
    try:
        phrase = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = str(answer.status)
    if location := answer.headers.get("location"):
        return f"The server redirects to {location} ({phrase}); use that base URL."
    text = " ".join(answer.content.decode(errors="replace").split())
    shown = f": {text[:200]}" if text and answer.media_type == "text/plain" else "."
    return f"The server answered {phrase}{shown}"
