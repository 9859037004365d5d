"""The steps of a call, as data.

What the client does is written once, as generators (``Flow``) that yield steps. A transport carries
the steps out, synchronously or asynchronously, and sends each step's reply back into the generator,
or raises the step's error there. The generators themselves never wait and never use a network.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httpx2

from acestep_ray.client.uploads import Body

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """An HTTP request.

    ``path``: below the base URL. ``extra_seconds``: how much longer than usual the service may be
    silent before it answers; ``most_seconds``: and how long at most, if that is less (not below a
    second).
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    extra_seconds: float = 0.0
    most_seconds: float | None = None
    follow_redirects: bool = False


@dataclass(frozen=True)
class Answer:
    """A response. ``content``: its body; empty if it is still to be read, piece by piece."""

    status: int
    headers: httpx2.Headers
    content: bytes = b""

    @property
    def media_type(self) -> str:
        """Its Content-Type, without parameters."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()


@dataclass(frozen=True)
class Send:
    """Send a request and read the whole response; the reply is an Answer."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send a request; the reply is an Answer. If its status is 200 or 206, the body is read by
    ``Read`` or ``ReadEvent``, and the response is open until ``Close`` or the next ``Open``."""

    request: Request


@dataclass(frozen=True)
class Read:
    """Read on; the reply is the next bytes of the body, None at its end."""


@dataclass(frozen=True)
class ReadEvent:
    """Read on; the reply is the next httpx2.ServerSentEvent, None at the end of the body."""


@dataclass(frozen=True)
class Close:
    """Close the open response."""


@dataclass(frozen=True)
class Pause:
    """Wait for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Call a function that uses files; the reply is what it returns."""

    function: Callable[[], object]


@dataclass(frozen=True)
class Notify:
    """Call a function of the user."""

    function: Callable[[], object]


@dataclass(frozen=True)
class Emit:
    """Give the user an item of an iterator."""

    item: object


Step = Send | Open | Read | ReadEvent | Close | Pause | Work | Notify | Emit
Flow = Generator[Step, Any, T]


@dataclass(frozen=True)
class Finished:
    """A flow has ended, and returned this."""

    value: object


def advance(
    flow: Flow[Any], reply: object = None, error: Exception | None = None
) -> Step | Finished:
    """Give a flow the reply to its last step, or the step's error; returns its next step. Raises
    what the flow raises."""
    try:
        return flow.throw(error) if error else flow.send(reply)
    except StopIteration as end:
        return Finished(end.value)


def send(request: Request) -> Flow[Answer]:
    """``Send``, with the type of its reply."""
    return cast(Answer, (yield Send(request)))


def open_response(request: Request) -> Flow[Answer]:
    """``Open``, with the type of its reply."""
    return cast(Answer, (yield Open(request)))


def read_bytes() -> Flow[bytes | None]:
    """``Read``, with the type of its reply."""
    return cast(bytes | None, (yield Read()))


def read_event() -> Flow[httpx2.ServerSentEvent | None]:
    """``ReadEvent``, with the type of its reply."""
    return cast(httpx2.ServerSentEvent | None, (yield ReadEvent()))


def work(function: Callable[[], T]) -> Flow[T]:
    """``Work``, with the type of its reply."""
    return cast(T, (yield Work(function)))
