"""The span of an engine's work shows its stages, and never hides its events."""

import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import pytest

from acestep_ray.decoder.events import DecodeEvent, DecodeFailed, DecodeProgress
from acestep_ray.settings import Tracing
from acestep_ray.tracing import stages
from acestep_ray.tracing.otlp import OtlpTracer
from acestep_ray.tracing.stages import engine_work
from acestep_ray.tracing.tracer import NO_TRACER, Tracer
from acestep_ray.work_context import NO_WORK, WorkContext, work_context
from tests.otlp_receiver import OtlpReceiver, children

SUBMIT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WORK = WorkContext("request", "job", 2, SUBMIT)
STAGES = ("encoding", "diffusion", "diffusion", "vae", "diffusion", "vae", "storing")


class Traced:
    """A tracer, and what it sent."""

    def __init__(self, receiver: OtlpReceiver) -> None:
        self.receiver = receiver
        self.tracer = OtlpTracer(Tracing(endpoint=receiver.url), "Decoder")

    def tree(self) -> dict[str, list[str]]:
        """Names of the spans by the name of their parent, in the order of time."""
        self.tracer.close()
        spans = self.receiver.spans()
        names = {span.span: span.name for span in spans}
        below = children(spans).items()
        return {names.get(parent, parent): [s.name for s in found] for parent, found in below}


@pytest.fixture(autouse=True)
def even_the_shortest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "SHORTEST", 0.0)


@pytest.fixture
def traced() -> Iterator[Traced]:
    with OtlpReceiver() as receiver:
        yield Traced(receiver)


async def engine(*more: DecodeEvent) -> AsyncGenerator[DecodeEvent, None]:
    for number, stage in enumerate(STAGES):
        yield DecodeProgress(stage=stage, step=number, total=len(STAGES))
    for event in more:
        yield event


def work(
    tracer: Tracer, events: AsyncGenerator[DecodeEvent, None]
) -> AsyncGenerator[DecodeEvent, None]:
    return engine_work(
        tracer, "decoder", events, WORK, first="reading", attributes={"acestep.task": "cover"}
    )


async def test_each_stage_is_a_span_below_the_engines(traced: Traced) -> None:
    events = [event async for event in work(traced.tracer, engine())]
    assert len(events) == len(STAGES)
    assert traced.tree() == {
        SUBMIT[36:52]: ["decoder"],
        "decoder": ["reading", "encoding", "diffusion", "vae", "diffusion", "vae", "storing"],
    }
    (span,) = (span for span in traced.receiver.spans() if span.name == "decoder")
    assert span.attributes == {
        "acestep.job_id": "job",
        "acestep.attempt": 2,
        "acestep.request_id": "request",
        "acestep.task": "cover",
    }


async def test_stages_that_take_no_time_are_left_out(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "SHORTEST", 60.0)
    assert len([event async for event in work(traced.tracer, engine())]) == len(STAGES)
    assert traced.tree() == {SUBMIT[36:52]: ["decoder"]}


async def test_a_failure_has_its_code(traced: Traced) -> None:
    failure = DecodeFailed(code="out_of_memory", detail="Too long.")
    assert [event async for event in work(traced.tracer, engine(failure))][-1] == failure
    traced.tracer.close()
    (span,) = (span for span in traced.receiver.spans() if span.name == "decoder")
    assert span.failed and span.attributes["acestep.error_code"] == "out_of_memory"


async def test_an_error_passes_through_and_is_recorded(traced: Traced) -> None:
    async def broken() -> AsyncGenerator[DecodeEvent, None]:
        yield DecodeProgress(stage="encoding", step=0, total=1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        [event async for event in work(traced.tracer, broken())]
    assert traced.tree()["decoder"] == ["reading", "encoding"]
    assert any(
        s.attributes.get("error.type") == "ZeroDivisionError" for s in traced.receiver.spans()
    )


async def test_work_that_is_stopped_has_its_span_too(traced: Traced) -> None:
    closed = False

    async def endless() -> AsyncGenerator[DecodeEvent, None]:
        nonlocal closed
        try:
            while True:
                yield DecodeProgress(stage="diffusion", step=0, total=1)
        finally:
            closed = True

    async with aclosing(work(traced.tracer, endless())) as events:
        await anext(events)
    assert closed and traced.tree()["decoder"] == ["reading", "diffusion"]


@pytest.mark.parametrize("on", [True, False])
async def test_log_lines_of_the_engine_hold_the_job(
    traced: Traced, on: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def logging_engine() -> AsyncGenerator[DecodeEvent, None]:
        logging.getLogger("engine").warning("%s", work_context())
        yield DecodeProgress(stage="vae", step=0, total=1)
        logging.getLogger("engine").warning("%s", work_context())

    tracer = traced.tracer if on else NO_TRACER
    assert len([event async for event in work(tracer, logging_engine())]) == 1
    assert caplog.messages == [str(WORK)] * 2
    assert work_context() == NO_WORK
    traced.tracer.close()
