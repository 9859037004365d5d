"""Spans reach a collector, belong together, and disturb nobody if there is no collector."""

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest

from acestep_ray.settings import Tracing
from acestep_ray.tracing.otlp import start_tracer
from acestep_ray.tracing.tracer import NO_TRACER, Tracer
from tests.otlp_receiver import OtlpReceiver, Received, roots
from tests.service import until

CLIENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


def tracer_to(receiver: OtlpReceiver, **settings: object) -> Tracer:
    given = Tracing.model_validate({"endpoint": receiver.url, **settings})
    return start_tracer(given, "Runner")


def spans_of(receiver: OtlpReceiver, count: int) -> dict[str, Received]:
    until(lambda: len(receiver.spans()) >= count, "the spans do not come")
    spans = receiver.spans()
    assert len(spans) == count
    return {span.name: span for span in spans}


def test_spans_of_two_processes_continue_the_clients_trace(receiver: OtlpReceiver) -> None:
    ingress, runner = tracer_to(receiver), tracer_to(receiver)
    with ingress.start("request", parent=CLIENTS, kind="server") as request:
        pass
    runner.start("plan", parent=request.trace, attributes={"acestep.attempt": 2}).end()
    spans = spans_of(receiver, 2)
    assert {span.trace for span in spans.values()} == {CLIENTS[3:35]}
    assert spans["request"].parent == CLIENTS[36:52]
    assert spans["plan"].parent == spans["request"].span
    assert spans["plan"].attributes == {"acestep.attempt": 2}
    assert spans["plan"].resource["service.name"] == "acestep-ray"
    ingress.close()
    runner.close()


def test_a_span_is_sent_soon_without_a_flush(receiver: OtlpReceiver) -> None:
    """Of a process that is killed, at most the last moment is lost."""
    tracer = tracer_to(receiver)
    with tracer.start("one"):
        pass
    spans_of(receiver, 1)
    tracer.close()


def test_an_orderly_end_sends_what_is_left(receiver: OtlpReceiver) -> None:
    tracer = tracer_to(receiver)
    for _ in range(50):
        tracer.start("one").end()
    tracer.close()
    assert len(receiver.spans()) == 50
    tracer.start("too late").end()
    tracer.close()


def test_times_before_this_one_are_kept(receiver: OtlpReceiver) -> None:
    tracer = tracer_to(receiver)
    since = time.time() - 30
    tracer.start("queue", at=since).end(since + 10)
    span = spans_of(receiver, 1)["queue"]
    assert span.began == pytest.approx(since, abs=1e-3)
    assert span.ended == pytest.approx(since + 10, abs=1e-3)
    tracer.close()


def test_errors_are_named_without_their_texts(receiver: OtlpReceiver) -> None:
    """The text of an error may hold what a user wrote."""
    tracer = tracer_to(receiver)
    with pytest.raises(ValueError), tracer.start("bad"):
        raise ValueError("my secret lyrics")
    with pytest.raises(asyncio.CancelledError), tracer.start("stopped"):
        raise asyncio.CancelledError
    spans = spans_of(receiver, 2)
    assert spans["bad"].failed and spans["bad"].attributes["error.type"] == "ValueError"
    assert "secret" not in str(receiver.spans())
    assert not spans["stopped"].failed
    tracer.close()


def test_a_client_that_does_not_sample_gets_no_spans(receiver: OtlpReceiver) -> None:
    tracer = tracer_to(receiver)
    with tracer.start("request", parent=CLIENTS[:-1] + "0") as request:
        tracer.start("plan", parent=request.trace).end()
    tracer.close()
    assert receiver.spans() == [] and request.trace[3:35] == CLIENTS[3:35]


def test_a_share_of_traces_is_whole_or_not_there(receiver: OtlpReceiver) -> None:
    tracer = tracer_to(receiver, ratio=0.5)
    for _ in range(200):
        with tracer.start("request") as request:
            tracer.start("plan", parent=request.trace).end()
    tracer.close()
    spans = receiver.spans()
    assert 0 < len(spans) < 400
    assert {span.name for span in roots(spans)} == {"request"}
    assert len(roots(spans)) == len(spans) / 2


def test_headers_of_the_settings_are_sent(receiver: OtlpReceiver) -> None:
    tracer = tracer_to(receiver, headers="Authorization=Bearer%20abc==,X-Team=music")
    tracer.start("one").end()
    tracer.close()
    (headers,) = receiver.requests
    assert headers["authorization"] == "Bearer abc==" and headers["x-team"] == "music"


def test_without_an_endpoint_a_clients_trace_is_passed_on() -> None:
    tracer = start_tracer(Tracing(), "Runner")
    assert tracer is NO_TRACER and not tracer.on
    with tracer.start("request", parent=CLIENTS) as request:
        request.set("acestep.attempt", 1)
        request.fail("timeout")
    assert request.trace == CLIENTS
    tracer.close()


def test_a_collector_that_is_away_is_reported_seldom_and_delays_nobody(
    receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 503
    tracer = tracer_to(receiver)
    with caplog.at_level(logging.WARNING):
        for _ in range(3000):  # more than are kept
            tracer.start("one").end()
        tracer.close()
    assert len([r for r in caplog.records if r.name.startswith("opentelemetry")]) == 1


def test_a_stored_parent_of_another_form_begins_a_trace(receiver: OtlpReceiver) -> None:
    """It may be of another release of this service."""
    tracer = tracer_to(receiver)
    tracer.start("plan", parent="not a traceparent").end()
    assert spans_of(receiver, 1)["plan"].parent == ""
    tracer.close()
