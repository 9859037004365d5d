"""The Tracer that exports to an OpenTelemetry collector, by OTLP over HTTP."""

import asyncio
import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.util.re import parse_env_headers

from acestep_ray import __version__
from acestep_ray.settings import Tracing
from acestep_ray.tracing.tracer import (
    NO_TRACER,
    Attribute,
    Kind,
    Span,
    Tracer,
    read_traceparent,
)

DELAY = 0.5
"""Seconds that an ended span waits for others, at most: what is not sent is lost if this process is
killed."""
EXPORT_SECONDS = 5.0
"""Longest time for one batch, with its repetitions."""
CLOSE_SECONDS = 2.0
REPEAT_SECONDS = 60.0
"""Seconds between two log lines that spans cannot be exported."""

_KINDS: Mapping[Kind, otel.SpanKind] = {
    "internal": otel.SpanKind.INTERNAL,
    "server": otel.SpanKind.SERVER,
    "client": otel.SpanKind.CLIENT,
    "producer": otel.SpanKind.PRODUCER,
    "consumer": otel.SpanKind.CONSUMER,
}


_EXPORTING = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)
"""Loggers that report each batch that cannot be exported, and each span that is dropped."""


def start_tracer(settings: Tracing, process: str) -> Tracer:
    """The tracer of this process, whose name is ``process``; one per process."""
    return OtlpTracer(settings, process) if settings.endpoint else NO_TRACER


class OtlpTracer:
    """Implements Tracer. Spans wait in memory, at most 2,048 of them; those that do not fit, or
    cannot be exported, are dropped: no job waits for the collector."""

    on = True

    def __init__(self, settings: Tracing, process: str) -> None:
        base = settings.endpoint.removesuffix("/v1/traces")
        exporter = OTLPSpanExporter(
            f"{base}/v1/traces",
            headers=parse_env_headers(settings.headers.get_secret_value(), liberal=True),
            timeout=EXPORT_SECONDS,
        )
        resource = Resource.create(
            {
                "service.name": settings.service_name,
                "service.version": __version__,
                "service.instance.id": f"{process}-{socket.gethostname()}-{os.getpid()}",
                "host.name": socket.gethostname(),
                "process.pid": os.getpid(),
                "acestep.process": process,
            }
        )
        # Not the global one: Ray and vLLM use that for spans of their own, if told to.
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.ratio)),
            resource=resource,
            shutdown_on_exit=False,  # it waits for a collector without a limit
        )
        batches = BatchSpanProcessor(exporter, schedule_delay_millis=1000 * DELAY)
        self._provider.add_span_processor(batches)
        self._tracer = self._provider.get_tracer("acestep_ray", __version__)
        for name in _EXPORTING:
            logging.getLogger(name).addFilter(_RARELY)
        atexit.register(self.close)

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
        span = self._tracer.start_span(
            name,
            context=_context(parent),
            kind=_KINDS[kind],
            attributes=attributes,
            start_time=_nanoseconds(at),
        )
        return _OtlpSpan(span)

    def close(self) -> None:
        """See Tracer."""
        atexit.unregister(self.close)
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)


class _OtlpSpan:
    """Implements Span."""

    def __init__(self, span: otel.Span) -> None:
        self._span = span
        context = span.get_span_context()
        ids = f"{otel.format_trace_id(context.trace_id)}-{otel.format_span_id(context.span_id)}"
        self.trace = f"00-{ids}-{context.trace_flags & 1:02x}"

    def set(self, name: str, value: Attribute) -> None:
        """See Span."""
        if self._span.is_recording():
            self._span.set_attribute(name, value)

    def fail(self, code: str) -> None:
        """See Span."""
        if self._span.is_recording():
            self._span.set_status(otel.StatusCode.ERROR, code)
            self._span.set_attribute("error.type", code)

    def end(self, at: float | None = None) -> None:
        """See Span."""
        if self._span.is_recording():
            self._span.end(_nanoseconds(at))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and not issubclass(kind, GeneratorExit | asyncio.CancelledError):
            self.fail(kind.__name__)  # not its message, which may hold a user's text
        self.end()


class _Rarely(logging.Filter):
    """One line per REPEAT_SECONDS: while the collector is away, there is one for every batch."""

    def __init__(self) -> None:
        super().__init__()
        self._next = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + REPEAT_SECONDS
        return True


_RARELY = _Rarely()


def _context(parent: str) -> Context:
    """An OpenTelemetry context with the span of a traceparent, or with none."""
    if not (parent := read_traceparent(parent)):
        return Context()
    _, trace, span, flags = parent.split("-")
    remote = otel.SpanContext(
        int(trace, 16), int(span, 16), is_remote=True, trace_flags=otel.TraceFlags(int(flags, 16))
    )
    return otel.set_span_in_context(otel.NonRecordingSpan(remote), Context())


def _nanoseconds(at: float | None) -> int | None:
    return None if at is None else round(at * 1e9)
