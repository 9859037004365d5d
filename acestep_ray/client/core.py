"""The calls of a client, without a network: each is a flow of steps."""

import json
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar
from urllib.parse import quote

import httpx2
from pydantic import ValidationError

from acestep_ray.client.errors import ApiError, ConnectionFailed, Gone, UnexpectedResponse
from acestep_ray.client.models import (
    Adapters,
    Deliveries,
    Delivery,
    Health,
    JobPage,
    JobState,
    Model,
    Models,
    Ready,
    Stats,
)
from acestep_ray.client.problems import error_of, is_temporary
from acestep_ray.client.request_body import request_body
from acestep_ray.client.retries import Retries, Tries
from acestep_ray.client.steps import Answer, Emit, Flow, Pause, Request, send, work
from acestep_ray.client.uploads import FormBody

T = TypeVar("T")
M = TypeVar("M", bound=Model)

BROKEN = (httpx2.RequestError,)
"""What httpx2 raises if no whole response came."""
NOT_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout)
"""Of these, what it raises if there was no connection at all."""
PAGE = 100
MOST_JOBS = 200
"""Jobs per page of a list: usually, and as the service allows."""
UPLOAD_SECONDS = 120.0
"""How much longer than other requests one with files may take: the service reads them first."""


class Incomplete(Exception):
    """The body of a response is not what its Content-Type names: a part is missing."""


class Core:
    """The calls. ``address``: of the service, for messages."""

    def __init__(self, address: str, retries: Retries) -> None:
        self.address = address
        self.retries = retries

    def call(
        self,
        request: Request,
        read: Callable[[Answer], T],
        *,
        seconds: float | None = None,
        accepted: Collection[int] = (),
    ) -> Flow[T]:
        """Send a request, again and again for so many ``seconds`` (None: ``retries.seconds``) while
        the failure may be temporary; returns what ``read`` makes of a success, or of a status that
        is ``accepted``. Every request of this client may be sent twice. Raises ApiError."""
        tries = Tries(self.retries, self.retries.seconds if seconds is None else seconds)
        while True:
            tries.count += 1
            try:
                answer = yield from send(request)
                if 200 <= answer.status < 300 or answer.status in accepted:
                    return read(answer)
                error, temporary = self._refusal(request, answer), is_temporary(answer)
            except (*BROKEN, Incomplete) as cause:
                error, temporary = self.not_reached(cause), is_cut(cause)
            error.tries = tries.count
            pause = tries.pause(error.retry_after) if temporary else None
            if pause is None:
                raise error
            yield Pause(pause)

    def _refusal(self, request: Request, answer: Answer) -> ApiError:
        """The exception for a response that is an error. The service has every path of this client,
        unless an id with a slash makes it another one: a path that it lacks is below a wrong base
        URL, and not a job that is missing."""
        error = error_of(answer)
        if error.code != "not_found" or "%2F" in request.path:
            return error
        detail = (
            f"{self.address} is not the address of an acestep-ray service: it has no "
            f"{request.path} there. Check ACESTEP_URL, or base_url."
        )
        return UnexpectedResponse(detail, status=error.status, request_id=error.request_id)

    def not_reached(self, cause: Exception) -> ConnectionFailed:
        """The exception for a request without a whole response."""
        reason = str(cause).rstrip(".") or type(cause).__name__
        detail = f"No whole answer came from {self.address}: {reason}."
        if isinstance(cause, NOT_CONNECTED):
            detail = (
                f"No service can be reached at {self.address} ({reason}). Start one with "
                "acestep-ray serve, or name another address by ACESTEP_URL or base_url."
            )
        error = ConnectionFailed(detail)
        error.__cause__ = cause
        return error

    def submit(self, fields: Mapping[str, object], key: str | None) -> Flow[JobState]:
        """POST /v1/music/generate."""
        body = yield from work(lambda: request_body(fields))
        headers = {"Idempotency-Key": checked_key(key)}
        extra = UPLOAD_SECONDS if isinstance(body, FormBody) else 0.0
        request = Request("POST", "/v1/music/generate", {}, headers, body, extra)
        return (yield from self.call(request, reader(JobState)))

    def job(
        self,
        job_id: str,
        *,
        wait: float = 0,
        seconds: float | None = None,
        most_seconds: float | None = None,
    ) -> Flow[JobState]:
        """GET /v1/jobs/{id}. ``wait``: up to so many seconds for another status. ``seconds``: see
        ``call``. ``most_seconds``: see Request."""
        query = {"wait": f"{wait:.3f}"} if wait else {}
        path = job_path(job_id)
        request = Request("GET", path, query, extra_seconds=wait, most_seconds=most_seconds)
        return (yield from self.call(request, reader(JobState), seconds=seconds))

    def jobs(
        self, status: str | None, limit: int | None, error_code: str | None, full: bool
    ) -> Flow[None]:
        """GET /v1/jobs, page by page; emits JobState."""
        query = {"status": status, "error_code": error_code, "full": "true" if full else None}
        left = limit
        cursor: str | None = None
        while left is None or left > 0:
            size = PAGE if left is None else min(left, MOST_JOBS)
            given = {**query, "limit": str(size), "cursor": cursor}
            asked = {name: value for name, value in given.items() if value is not None}
            page = yield from self.call(Request("GET", "/v1/jobs", asked), reader(JobPage))
            for state in page.jobs:
                yield Emit(state)
            cursor = page.next_cursor
            if cursor is None:
                return
            left = None if left is None else left - len(page.jobs)

    def cancel(self, job_id: str) -> Flow[JobState]:
        """POST /v1/jobs/{id}/cancel."""
        request = Request("POST", f"{job_path(job_id)}/cancel")
        return (yield from self.call(request, reader(JobState)))

    def delete(self, job_id: str) -> Flow[None]:
        """DELETE /v1/jobs/{id}."""
        try:
            yield from self.call(Request("DELETE", job_path(job_id)), lambda answer: None)
        except Gone as gone:
            if gone.tries == 1:  # otherwise this call has deleted it, and its answer was lost
                raise

    def deliveries(self, job_id: str) -> Flow[list[Delivery]]:
        """GET /v1/jobs/{id}/deliveries."""
        request = Request("GET", f"{job_path(job_id)}/deliveries")
        return (yield from self.call(request, reader(Deliveries))).deliveries

    def models(self) -> Flow[Models]:
        """GET /v1/models."""
        return (yield from self.call(Request("GET", "/v1/models"), reader(Models)))

    def adapters(self) -> Flow[Adapters]:
        """GET /v1/adapters."""
        return (yield from self.call(Request("GET", "/v1/adapters"), reader(Adapters)))

    def stats(self) -> Flow[Stats]:
        """GET /v1/stats."""
        return (yield from self.call(Request("GET", "/v1/stats"), reader(Stats)))

    def health(self) -> Flow[Health]:
        """GET /health."""
        return (yield from self.call(Request("GET", "/health"), reader(Health)))

    def ready(self) -> Flow[Ready]:
        """GET /ready, once: it is asked for the present state."""
        request = Request("GET", "/ready")

        def read(answer: Answer) -> Ready:
            if answer.status == 200:
                return reader(Ready)(answer)
            error = self._refusal(request, answer)
            if not is_temporary(answer):
                raise error
            return Ready(ready=False, reasons=_reasons(answer) or [error.detail])

        return (yield from self.call(request, read, seconds=0, accepted=(404, 503)))


def is_cut(cause: Exception) -> bool:
    """Whether a new connection may help."""
    final = httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | httpx2.TooManyRedirects
    return not isinstance(cause, final)


def job_path(job_id: str) -> str:
    """Path of a job, whatever its id contains."""
    return f"/v1/jobs/{quote(job_id, safe='')}"


def checked_key(key: str | None) -> str:
    """An Idempotency-Key: the given one, or a new one. Raises ValueError."""
    if key is None:
        return str(uuid.uuid4())
    if not (0 < len(key) < 256 and key.isascii() and key.isprintable() and key == key.strip()):
        raise ValueError("idempotency_key must be 1 to 255 printable ASCII characters.")
    return key


def reader(model: type[M]) -> Callable[[Answer], M]:
    """How the JSON of a response becomes a model. Raises Incomplete, and UnexpectedResponse."""

    def read(answer: Answer) -> M:
        if not answer.media_type.endswith("json"):
            raise unexpected(answer, f"its Content-Type is {answer.media_type or 'missing'}")
        try:
            document = json.loads(answer.content)
        except ValueError as error:
            raise Incomplete(f"its JSON cannot be read: {error}") from error
        try:
            return model.model_validate(document)
        except ValidationError as error:
            raise unexpected(answer, _misfit(error)) from error

    return read


def _misfit(error: ValidationError) -> str:
    """Where a document is not what was expected, in words."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    if not place:
        return "its JSON is not an object"
    return f"its JSON has {'no' if first['type'] == 'missing' else 'another kind of'} {place}"


def unexpected(answer: Answer, reason: str) -> UnexpectedResponse:
    """The exception for a response that this service does not make."""
    detail = f"The response is not one of acestep-ray ({reason}); is the base URL right?"
    request_id = answer.headers.get("x-request-id")
    return UnexpectedResponse(detail, status=answer.status, request_id=request_id)


def _reasons(answer: Answer) -> list[str]:
    """Why the service is not ready; empty if the answer does not tell it."""
    try:
        return Ready.model_validate_json(answer.content).reasons
    except ValidationError:
        return []
