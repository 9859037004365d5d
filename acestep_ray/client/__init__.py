"""A Python client of the service, synchronous and asynchronous (docs/client.md).

    from acestep_ray.client import Client

    with Client() as client:
        client.generate(caption="upbeat pop song").wait().download("songs")

It needs httpx2 and pydantic, and nothing else of this package.
"""

from acestep_ray.client.async_client import AsyncClient, AsyncJob
from acestep_ray.client.errors import (
    ApiError,
    AuthenticationFailed,
    Conflict,
    ConnectionFailed,
    DownloadFailed,
    FieldError,
    Gone,
    InvalidRequest,
    JobFailed,
    NotFound,
    QueueFull,
    RateLimited,
    ServerError,
    ServiceUnavailable,
    UnexpectedResponse,
    WaitTimeout,
)
from acestep_ray.client.events import Event
from acestep_ray.client.fields import GenerateFields
from acestep_ray.client.models import (
    Adapters,
    Delivery,
    Health,
    JobState,
    Models,
    Progress,
    Ready,
    Result,
    Stats,
)
from acestep_ray.client.retries import NO_RETRIES, Retries
from acestep_ray.client.sync_client import Client, Job
from acestep_ray.client.uploads import AudioFile

__all__ = [
    "Adapters",
    "ApiError",
    "AsyncClient",
    "AsyncJob",
    "AudioFile",
    "AuthenticationFailed",
    "Client",
    "Conflict",
    "ConnectionFailed",
    "Delivery",
    "DownloadFailed",
    "Event",
    "FieldError",
    "GenerateFields",
    "Gone",
    "Health",
    "InvalidRequest",
    "Job",
    "JobFailed",
    "JobState",
    "Models",
    "NO_RETRIES",
    "NotFound",
    "Progress",
    "QueueFull",
    "RateLimited",
    "Ready",
    "Result",
    "Retries",
    "ServerError",
    "ServiceUnavailable",
    "Stats",
    "UnexpectedResponse",
    "WaitTimeout",
]
