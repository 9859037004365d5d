"""One HTTP request to a receiver: to a checked address, in bounded time, without redirects."""

import asyncio
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import certifi
import httpcore2
from httpcore2 import SOCKET_OPTION, AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream

from acestep_ray.webhooks.addresses import Address
from acestep_ray.webhooks.resolver import AddressRefused, LookupFailed, Resolver
from acestep_ray.webhooks.target import Target

MOST_READ = 16_384
"""Bytes of a response that are read, so that a usual receiver can finish it. They are not used."""
READ_SECONDS = 2.0
"""So long is a body read."""
MOST_RECEIVED = 131_072
"""Bytes that are received of a connection, with headers and everything before them."""

_BROKEN = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException)


@dataclass(frozen=True)
class Response:
    """``retry_after``: seconds that the receiver wants the sender to wait, if it named them."""

    status: int
    retry_after: float | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver has accepted the message."""
        return 200 <= self.status < 300


class NoResponse(Exception):
    """There is no HTTP response, for the reason in the text. It is for clients, and holds nothing
    about the service's network; the cause may."""


class Poster:
    """Sends requests. One per process. ``timeout``: seconds for all of one request."""

    def __init__(self, resolver: Resolver, timeout: float) -> None:
        self._resolver = resolver
        self._timeout = timeout
        self._tls = _trusted()

    async def post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Response:
        """The response to a POST. Raises NoResponse."""
        try:
            return await self._post(target, headers, body)
        except TimeoutError:
            raise NoResponse(f"no response within {self._timeout:g} s") from None
        except LookupFailed as error:
            raise NoResponse(str(error)) from error
        except AddressRefused as error:
            raise NoResponse("address not allowed") from error
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise NoResponse(_connect_failure(error)) from error
        except _BROKEN as error:
            raise NoResponse("the connection ended without an HTTP response") from error

    async def _post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Response:
        async with asyncio.timeout(self._timeout):
            found = await self._resolver.addresses(target.host, target.port, self._timeout)
            request = _request(target, headers, body)
            pinned = _Pinned(found, self._timeout / len(found))
            connection = httpcore2.AsyncHTTPConnection(
                request.url.origin, ssl_context=self._tls, network_backend=pinned
            )
            try:
                response = await connection.handle_async_request(request)
            except BaseException:
                await pinned.aclose()  # also if TLS has not begun
                raise
        try:
            await _read_some(response)
        finally:
            await connection.aclose()
        return Response(response.status, _retry_after(response.headers))


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> httpcore2.Request:
    url = httpcore2.URL(
        scheme=target.scheme, host=target.server_name, port=target.port, target=target.path
    )
    sent = [
        ("Host", target.authority),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
        *headers.items(),
    ]
    return httpcore2.Request("POST", url, headers=sent, content=body)


class _Pinned(AsyncNetworkBackend):
    """Connects to one of the given addresses, whatever the host is called. ``seconds``: for each of
    them."""

    def __init__(self, addresses: Sequence[Address], seconds: float) -> None:
        self._addresses = addresses
        self._seconds = seconds
        self._tcp = AnyIOBackend()
        self._stream: AsyncNetworkStream | None = None

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        failure: Exception | None = None
        for address in self._addresses:
            try:
                stream = await self._tcp.connect_tcp(str(address), port, timeout=self._seconds)
                self._stream = _Bounded(stream)
                return self._stream
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def aclose(self) -> None:
        """Close the connection, if there is one."""
        if self._stream is not None:
            await self._stream.aclose()


class _Bounded(AsyncNetworkStream):
    """A stream that ends after MOST_RECEIVED bytes: a receiver can send as many interim responses
    as it likes, each of which takes time to read."""

    def __init__(self, stream: AsyncNetworkStream) -> None:
        self._stream = stream
        self._left = MOST_RECEIVED

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        if self._left <= 0:
            raise httpcore2.ReadError("too much was received")
        found = await self._stream.read(min(max_bytes, self._left), timeout)
        self._left -= len(found)
        return found

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncNetworkStream:
        return _Bounded(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _trusted() -> ssl.SSLContext:
    """Trusts the public certificate authorities, and those of this machine (SSL_CERT_FILE)."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def _connect_failure(error: Exception) -> str:
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"the receiver's certificate is not valid: {found.verify_message}"
        if isinstance(found, ssl.SSLError):
            return "TLS failed"
        found = found.__cause__ or found.__context__
    return "no connection"


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> float | None:
    """Seconds of the header Retry-After, a number or a date; None if it is missing or neither."""
    texts = [value.decode("latin-1") for name, value in headers if name.lower() == b"retry-after"]
    if not texts:
        return None
    text = texts[0].strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.fromtimestamp(time.time(), UTC)).total_seconds())


async def _read_some(response: httpcore2.Response) -> None:
    """Read a bit of the body, for a bit of time. The response counts, whatever comes of that."""
    read = 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read >= MOST_READ:
                    return
    except (TimeoutError, *_BROKEN):
        return
