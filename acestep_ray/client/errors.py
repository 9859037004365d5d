"""What the client raises. Every exception is an ``ApiError``."""

from collections.abc import Mapping
from dataclasses import dataclass

from acestep_ray.client.models import JobState


@dataclass(frozen=True)
class FieldError:
    """What is wrong with one field of a request: a sentence, and what the field accepts (None: not
    named)."""

    field: str
    detail: str
    legal: str | None = None


class ApiError(Exception):
    """A call did not succeed.

    ``detail``: a sentence that can be read alone. ``status``: the HTTP status, None without a
    response. ``code``: a stable name (docs/api.md), or one of the client's own. ``errors``: the
    wrong fields by name. ``request_id``: under which the server's log has the request.
    ``retry_after``: seconds after which a repetition is worth trying, None if the server did not
    name them. ``tries``: how often the request was sent.
    """

    default_code = "error"

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        code: str = "",
        errors: Mapping[str, FieldError] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code or self.default_code
        self.errors = dict(errors or {})
        self.request_id = request_id
        self.retry_after = retry_after
        self.tries = 1


class InvalidRequest(ApiError):
    """The request was refused (400, 405, 413, 415, 416, 422): ``errors`` has the wrong fields."""


class AuthenticationFailed(ApiError):
    """The API key is missing or wrong (401), or what was asked for is not allowed (403)."""


class NotFound(ApiError):
    """There is no such job or take (404)."""


class Gone(ApiError):
    """The job was deleted, or has expired (410)."""


class Conflict(ApiError):
    """The job has ended in another way, so it cannot be cancelled (409)."""


class RateLimited(ApiError):
    """Too many requests (429)."""


class QueueFull(RateLimited):
    """As many jobs wait as may (429)."""


class ServiceUnavailable(ApiError):
    """The service is starting, or lacks something now (502, 503, 504, the plain 404 of Serve's
    proxy), and was so too long."""


class ServerError(ApiError):
    """The service failed unexpectedly (500 and others)."""


class UnexpectedResponse(ApiError):
    """The response is none of this service: is the base URL right?"""

    default_code = "unexpected_response"


class ConnectionFailed(ApiError):
    """No whole response came: the service cannot be reached, or the connection was cut each time.
    The cause is in ``__cause__``."""

    default_code = "connection_failed"


class DownloadFailed(ApiError):
    """What was downloaded is not the take: its length or its checksum is another."""

    default_code = "download_failed"


class JobFailed(ApiError):
    """The job failed. ``code`` is its ``error_code``, ``detail`` its ``error``, ``job`` its
    state."""

    default_code = "job_failed"

    def __init__(self, detail: str, *, code: str = "", job: JobState | None = None) -> None:
        super().__init__(detail, code=code)
        self.job = job


class WaitTimeout(ApiError, TimeoutError):
    """The job had not ended in time; it goes on. ``job`` is its last known state."""

    default_code = "wait_timeout"

    def __init__(self, detail: str, *, job: JobState | None = None) -> None:
        super().__init__(detail)
        self.job = job
