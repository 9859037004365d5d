"""A receiver of traces: OTLP over HTTP with protobuf, as an OpenTelemetry collector has it."""

import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tests.service import until

ENDS = frozenset({"decode", "decoder", "store", "job"})
"""Spans that every attempt has that succeeded."""


@dataclass(frozen=True)
class Received:
    """A span. ``parent``: id of its parent, empty: it begins its trace. Times: epoch seconds.
    ``process``: the resource's attribute ``acestep.process``."""

    name: str
    trace: str
    span: str
    parent: str
    began: float
    ended: float
    failed: bool
    process: str
    resource: dict[str, Any]
    attributes: dict[str, Any]

    @property
    def attempt(self) -> int:
        """The job's attempt; 0: the span belongs to none."""
        return int(self.attributes.get("acestep.attempt", 0))


class OtlpReceiver:
    """Listens on a port of loopback until the ``with`` block ends. ``status``: of its responses;
    ``requests``: headers of the requests that it accepted."""

    def __init__(self) -> None:
        self.status = 200
        self.requests: list[dict[str, str]] = []
        self._spans: list[Received] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces", self.path
                if receiver.status == 200:
                    receiver._take(body, {k.lower(): v for k, v in self.headers.items()})
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(receiver.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, body: bytes, headers: dict[str, str]) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            self.requests.append(headers)
            for one in request.resource_spans:
                resource = _values(one.resource.attributes)
                for scope in one.scope_spans:
                    for span in scope.spans:
                        self._spans.append(
                            Received(
                                span.name,
                                span.trace_id.hex(),
                                span.span_id.hex(),
                                span.parent_span_id.hex(),
                                span.start_time_unix_nano / 1e9,
                                span.end_time_unix_nano / 1e9,
                                span.status.code == Status.STATUS_CODE_ERROR,
                                resource["acestep.process"],
                                resource,
                                _values(span.attributes),
                            )
                        )

    def spans(self, trace: str = "") -> list[Received]:
        """What has come so far; of one trace, if its id is given."""
        with self._lock:
            return [span for span in self._spans if trace in ("", span.trace)]

    def trace_of(self, job_id: str) -> list[Received]:
        """All spans of the trace of a job."""
        traces = {s.trace for s in self.spans() if s.attributes.get("acestep.job_id") == job_id}
        assert len(traces) <= 1, f"job {job_id} has several traces"
        return self.spans(traces.pop()) if traces else []

    def whole_trace_of(self, job_id: str) -> list[Received]:
        """All spans of the trace of a job that succeeded, once they have come."""

        def whole() -> bool:
            spans = self.trace_of(job_id)
            attempt = max((span.attempt for span in spans if span.name == "job"), default=0)
            last = {span.name for span in spans if span.attempt == attempt}
            return last >= ENDS and any(span.name == "submit" for span in spans)

        until(whole, f"the trace of job {job_id} does not come whole")
        return self.trace_of(job_id)


def roots(spans: Iterable[Received]) -> list[Received]:
    """The spans whose parent is not among them. A connected tree has one."""
    spans = list(spans)
    ids = [span.span for span in spans]
    assert len(set(ids)) == len(ids), "a span came twice"
    return [span for span in spans if span.parent not in ids]


def children(spans: Iterable[Received]) -> dict[str, list[Received]]:
    """The spans by the id of their parent, in the order of time."""
    found: dict[str, list[Received]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.began):
        found[span.parent].append(span)
    return found


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
