"""Which exception is returned as which problem."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from acestep_ray.api.middleware.api_prefix import route_path
from acestep_ray.api.problems import FieldError, Problem, ProblemCode, invalid_values
from acestep_ray.api.query_parameters import missing_parameter, parameter_error
from acestep_ray.api.upstream.not_served import is_not_served
from acestep_ray.artifacts.store import StorageError
from acestep_ray.jobs.event_hub import TooManyStreams
from acestep_ray.jobs.store.errors import (
    AlreadyEnded,
    IdempotencyMismatch,
    JobExpired,
    JobNotFound,
    QueueFull,
    StoreFull,
    StoreUnavailable,
    SubmitInDoubt,
)
from acestep_ray.metrics import UPLOADS_REFUSED, Meter

logger = logging.getLogger(__name__)

RETRY_SECONDS = "5"
UPLOAD_CODES = frozenset(
    {
        ProblemCode.BODY_TOO_LARGE,
        ProblemCode.UNSUPPORTED_MEDIA_TYPE,
        ProblemCode.MALFORMED_BODY,
        ProblemCode.INVALID_AUDIO,
    }
)
"""Problems of the body, or of the audio, that a client sent."""


def job_not_found() -> Problem:
    """The 404 for an unknown job."""
    return Problem(ProblemCode.JOB_NOT_FOUND, "There is no such job.")


def add_handlers(app: FastAPI, meter: Meter) -> None:
    """Let ``app`` handle exceptions by the table below. ``meter`` counts refused uploads."""
    for code in UPLOAD_CODES:
        meter.add(UPLOADS_REFUSED, 0, reason=code.value)
    for kind, problem in _PROBLEMS.items():
        app.add_exception_handler(kind, _handler(problem, meter))
    app.add_exception_handler(HTTPException, _http)


def _handler(
    problem: Callable[[Any], Problem], meter: Meter
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(request: Request, error: Exception) -> Response:
        answer = problem(error)
        if answer.code in UPLOAD_CODES:
            meter.add(UPLOADS_REFUSED, reason=answer.code.value)
        unexplained = answer is not error or error.__cause__ is not None
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR and unexplained:
            # The client gets the message; the log gets its cause.
            logger.warning(
                "%s %s: %s", request.method, request.url.path, answer.detail, exc_info=error
            )
        return answer.response()

    return handle


async def _http(request: Request, error: Exception) -> Response:
    """The errors of the router itself: 404 and 405."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if status == HTTPStatus.NOT_FOUND:
        detail = "There is no such route; GET /docs shows those there are."
        if is_not_served(path := route_path(request.scope)):
            detail = f"{path} is a route of upstream's API that is not served by this service yet."
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request)
        detail = f"This route takes {headers['Allow']} only."
    code = ProblemCode[status.phrase.upper().replace(" ", "_")]
    return Problem(code, detail, headers=headers).response()


def _allowed(request: Request) -> str:
    """The methods of a path. Each may be a separate route; the router names only the first."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


def _invalid(error: RequestValidationError) -> Problem:
    """Illegal parameters of a path or a query."""
    wrong: dict[str, FieldError] = {}
    for one in error.errors():
        name = str(one["loc"][-1])
        missing = one["type"] == "missing"
        entry = missing_parameter(name) if missing else parameter_error(name, one.get("input"))
        wrong.setdefault(name, entry)
    return invalid_values(list(wrong.values()))


def _unavailable(detail: str) -> Callable[[Any], Problem]:
    return lambda error: Problem(
        ProblemCode.UNAVAILABLE, detail, headers={"Retry-After": RETRY_SECONDS}
    )


_PROBLEMS: dict[type[Exception], Callable[[Any], Problem]] = {
    Problem: lambda error: error,
    RequestValidationError: _invalid,
    JobNotFound: lambda error: job_not_found(),
    JobExpired: lambda error: Problem(
        ProblemCode.JOB_EXPIRED, "The job was deleted, or its time is over."
    ),
    AlreadyEnded: lambda error: Problem(
        ProblemCode.ALREADY_ENDED, "The job has already ended and cannot be cancelled."
    ),
    QueueFull: lambda error: Problem(
        ProblemCode.QUEUE_FULL,
        "The queue is full; try again later.",
        headers={"Retry-After": RETRY_SECONDS},
    ),
    IdempotencyMismatch: lambda error: Problem(
        ProblemCode.IDEMPOTENCY_KEY_REUSED,
        "This Idempotency-Key came with another request before; use a new key for a new request.",
    ),
    StoreUnavailable: _unavailable("The job store cannot be reached right now; please try again."),
    SubmitInDoubt: _unavailable(
        "The job store cannot be reached right now, and may have taken the job all the same; "
        "please try again, with the Idempotency-Key of the first time if it had one."
    ),
    StoreFull: _unavailable(
        "The job store has no room for new jobs right now; please try again later."
    ),
    TooManyStreams: lambda error: Problem(
        ProblemCode.TOO_MANY_STREAMS,
        "Too many event streams are open; try again later, or poll GET /v1/jobs/{job_id}.",
        headers={"Retry-After": RETRY_SECONDS},
    ),
    StorageError: lambda error: Problem(
        ProblemCode.STORAGE_UNAVAILABLE,
        str(error),
        headers={"Retry-After": RETRY_SECONDS},
    ),
}
