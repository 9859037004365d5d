"""Where the service is, and how its requests are made: the same for both transports."""

import os
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any

import httpx2

from acestep_ray import __version__
from acestep_ray.client.steps import Answer, Request

DEFAULT_URL = "http://127.0.0.1:8001"
CONNECT_SECONDS = 10.0
"""Longest time for a connection to be made, unless the time limit is shorter."""
EVENT_BYTES = 16 * 1024 * 1024
"""Largest event that is read: the last one of a job holds its audio codes."""


class Connection:
    """Address, key and time limit of a client.

    None for ``base_url`` and ``api_key``: those of the environment, ``ACESTEP_URL`` and
    ``ACESTEP_API_KEY``. Raises ValueError.
    """

    def __init__(self, base_url: str | None, api_key: str | None, timeout: float) -> None:
        text = base_url or os.environ.get("ACESTEP_URL") or DEFAULT_URL
        try:
            self.url = httpx2.URL(text)
        except httpx2.InvalidURL as error:
            raise ValueError(f"base_url {text!r} is not a URL: {error}.") from error
        if self.url.scheme not in ("http", "https") or not self.url.host:
            raise ValueError(f"base_url must begin with http:// or https://; it is {text!r}.")
        if self.url.query or self.url.fragment:
            raise ValueError(f"base_url must not contain ? or #; it is {text!r}.")
        self._key = api_key if api_key is not None else os.environ.get("ACESTEP_API_KEY", "")
        if not (self._key.isascii() and self._key.isprintable()):
            raise ValueError("api_key must be printable ASCII characters.")
        self._timeout = timeout

    @property
    def address(self) -> str:
        """The base URL for messages, without a password."""
        return str(self.url.copy_with(username=None, password=None)).rstrip("/")

    def client_arguments(self) -> dict[str, Any]:
        """Arguments of httpx2.Client and AsyncClient."""
        headers = {"User-Agent": f"acestep-ray-client/{__version__}"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        # A proxy that the environment names cannot reach this machine's own addresses.
        host = self.url.copy_with(port=None).netloc.decode()
        direct = {f"all://{host}": None} if self._is_loopback() else {}
        return {"base_url": self.url, "headers": headers, "mounts": direct}

    def request_arguments(self, request: Request, files: ExitStack) -> dict[str, Any]:
        """Arguments of ``build_request``, for one try. ``files`` closes what the body holds."""
        body = request.body.arguments(files) if request.body else {}
        headers = {**body.pop("headers", {}), **request.headers}
        seconds = self._timeout + request.extra_seconds
        if request.most_seconds is not None:
            seconds = min(seconds, max(1.0, request.most_seconds))
        limit = httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, self._timeout, seconds))
        return {
            "method": request.method,
            "url": request.path,
            "params": request.query or None,
            "headers": headers,
            "timeout": limit,
            **body,
        }

    def _is_loopback(self) -> bool:
        host = self.url.host
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")


def is_stream(response: httpx2.Response) -> bool:
    """Whether the body of an opened response is read piece by piece: that of an error is not."""
    return response.status_code in (200, 206)


def answer_of(response: httpx2.Response, content: bytes = b"") -> Answer:
    """The response as flows get it."""
    return Answer(response.status_code, response.headers, content)
