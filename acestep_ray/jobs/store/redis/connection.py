"""A connection to Redis: its address, its timeout, and what its failures mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from redis import exceptions as r
from redis.backoff import NoBackoff
from redis.retry import Retry

from acestep_ray.jobs.store.errors import StoreFull, StoreUnavailable, StoreUnsuitable

TIMEOUT = 3.0
"""Longest wait for Redis, in seconds, unless another is given."""

_UNAVAILABLE = ("BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "TRYAGAIN")
"""Prefixes of temporary errors."""


@dataclass(frozen=True)
class Address:
    """Address of a Redis. ``url`` may contain its password, so only ``name`` is ever shown.

    ``volatile``: a Redis that keeps nothing on disk is allowed (``?volatile=allow``).
    """

    url: str = field(repr=False)
    password: str | None = field(default=None, repr=False)
    name: str = field(init=False)
    volatile: bool = field(init=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        options = dict(parse_qsl(parts.query))
        volatile = options.pop("volatile", "") == "allow"
        place = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        scheme, netloc, path, *_ = parts
        query = urlencode(options, safe="/")
        url = f"{scheme}://{netloc}{path}" + (f"?{query}" if query else "")
        object.__setattr__(self, "url", url)
        object.__setattr__(self, "name", f"The job store (Redis at {place})")
        object.__setattr__(self, "volatile", volatile)

    def at(self, host: str, port: int) -> str:
        """The same URL at another node of the same cluster."""
        parts = urlsplit(self.url)
        user, at, _ = parts.netloc.rpartition("@")
        host = f"[{host}]" if ":" in host else host
        return urlunsplit(parts._replace(netloc=f"{user}{at}{host}:{port}"))

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Raise StoreFull or StoreUnavailable if Redis fails. Other errors are mistakes in this
        program, and are raised unchanged."""
        try:
            yield
        except r.OutOfMemoryError as error:
            raise StoreFull(
                f"{self.name} is full: it takes no new jobs until some have expired, or its"
                " maxmemory is raised."
            ) from error
        except r.RedisError as error:
            why = _why(error)
            if why is None:
                raise
            raise StoreUnavailable(f"{self.name} {why}.") from error

    @contextmanager
    def opening(self) -> Iterator[None]:
        """As ``failures``, for a store that is being opened: a wrong password is StoreUnsuitable,
        because waiting does not help."""
        try:
            with self.failures():
                yield
        except StoreUnavailable as error:
            if isinstance(error.__cause__, r.AuthenticationError):
                raise StoreUnsuitable(str(error)) from error
            raise


class Connection:
    """One connection, made when it is first used. No call waits longer than ``timeout`` seconds or
    is repeated. In a Redis Cluster it moves to the node that has the keys, and returns to the
    address if that node cannot be reached."""

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        self._timeout = timeout
        self._client = self._connect(address.url)

    def execute(self, *command: Any) -> Any:
        """The reply to a command. Raises redis.RedisError."""
        try:
            return self._client.execute_command(*command)
        except r.MovedError as moved:
            self._turn_to(self.address.at(moved.host, moved.port))
            return self._client.execute_command(*command)
        except (r.ConnectionError, r.TimeoutError):
            self._turn_to(self.address.url)
            raise

    def close(self) -> None:
        """Close it."""
        self._client.close()

    def _turn_to(self, url: str) -> None:
        self._client.close()
        self._client = self._connect(url)

    def _connect(self, url: str) -> Any:  # its commands are not typed
        options: dict[str, Any] = {}
        if self.address.password:
            options["password"] = self.address.password
        if not url.startswith("unix:"):
            options["socket_keepalive"] = True
        return redis.Redis.from_url(
            url,
            max_connections=1,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **options,
        )


def _why(error: redis.RedisError) -> str | None:
    text = str(error).strip().rstrip(".")
    match error:
        case r.TimeoutError():
            return "does not answer"
        case r.BusyLoadingError():
            return "is loading its data"
        case r.AuthenticationError() | r.AuthenticationWrongNumberOfArgsError():
            return "refuses the user name or password; set ACESTEP_STORE_PASSWORD"
        case r.NoPermissionError():
            return f"forbids what a job store must do ({text})"
        case r.ReadOnlyError():
            return "is a read-only replica; name its primary in ACESTEP_STORE"
        case r.ConnectionError() | r.ClusterDownError() | r.MasterDownError():
            return f"cannot be reached ({text})"
        case r.ResponseError() if "DB index" in text:
            return "has no database of that number; mind its `databases`"
        case r.ResponseError() if text.startswith(_UNAVAILABLE):
            return f"cannot be used now ({text})"
    return None
