"""What code needs to record spans. It gets a ``Tracer`` by its constructor and does not know where
the spans go."""

import re
from collections.abc import Mapping
from types import TracebackType
from typing import Literal, Protocol, Self

Attribute = str | int | float | bool
"""A value of an attribute. Never a caption, lyrics or another text of a user."""
Kind = Literal["internal", "server", "client", "producer", "consumer"]

_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.A
)


class Span(Protocol):
    """One span. It ends with its ``with`` block, or by ``end``; then it cannot be changed."""

    trace: str
    """The traceparent that its children get, in this process or another; empty: there is none."""

    def set(self, name: str, value: Attribute) -> None:
        """Set an attribute."""
        ...

    def fail(self, code: str) -> None:
        """Mark it as failed. ``code``: an ErrorCode, or the name of an exception."""
        ...

    def end(self, at: float | None = None) -> None:
        """End it, now or at that time (epoch seconds). A second call changes nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it; as failed if the block raised an error, except a cancellation."""
        ...


class Tracer(Protocol):
    """Starts spans. Never raises, never waits; may be used from any thread."""

    on: bool
    """Whether spans are recorded at all: what only they need need not be found out otherwise."""

    def start(
        self,
        name: str,
        *,
        parent: str = "",
        kind: Kind = "internal",
        attributes: Mapping[str, Attribute] | None = None,
        at: float | None = None,
    ) -> Span:
        """Start a span, now or at that time (epoch seconds). ``parent``: a traceparent; without
        one, a new trace begins."""
        ...

    def close(self) -> None:
        """Export what is left, for up to two seconds; later spans are dropped."""
        ...


def read_traceparent(header: str) -> str:
    """A W3C traceparent header in the form of version 00; empty if it is not one."""
    match = _TRACEPARENT.fullmatch(header.strip())
    if match is None or (match[1] == "00" and match[5]):
        return ""
    sampled = int(match[4], 16) & 1
    return f"00-{match[2]}-{match[3]}-{sampled:02x}"


def trace_id(trace: str) -> str:
    """The trace's id of a traceparent, 32 hexadecimal digits; empty if there is none."""
    return trace[3:35]


def trace_headers(trace: str) -> dict[str, str]:
    """Headers for a request to another service, such as a webhook, that belongs to this trace."""
    return {"traceparent": trace} if trace else {}


class _NoSpan:
    """A span that is not recorded. A client's trace is passed on nevertheless."""

    __slots__ = ("trace",)

    def __init__(self, trace: str) -> None:
        self.trace = trace

    def set(self, name: str, value: Attribute) -> None:
        """See Span."""

    def fail(self, code: str) -> None:
        """See Span."""

    def end(self, at: float | None = None) -> None:
        """See Span."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass


class NoTracer:
    """Records nothing."""

    on = False

    def start(
        self,
        name: str,
        *,
        parent: str = "",
        kind: Kind = "internal",
        attributes: Mapping[str, Attribute] | None = None,
        at: float | None = None,
    ) -> Span:
        """See Tracer."""
        return _NoSpan(parent)

    def close(self) -> None:
        """See Tracer."""


NO_TRACER = NoTracer()
