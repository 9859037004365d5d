"""The span of an engine's work, with a child span for each of its stages."""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TypeVar

from acestep_ray.tracing.tracer import Attribute, Span, Tracer
from acestep_ray.work_context import WorkContext, work_context, work_for

Event = TypeVar("Event")

SHORTEST = 0.001
"""Stages that took less, in seconds, get no span: with the mock engines they would be half of all
spans."""


async def engine_work(
    tracer: Tracer,
    name: str,
    events: AsyncGenerator[Event, None],
    work: WorkContext,
    *,
    first: str,
    attributes: Mapping[str, Attribute],
) -> AsyncGenerator[Event, None]:
    """The events of an engine, which works for ``work``: its log lines and its span hold that.

    ``first``: name of the stage before the first event. An event with a ``stage`` begins that
    stage; one with a ``code`` is a failure.
    """
    with work_for(**vars(work)):
        traced = _traced(tracer, name, events, first, attributes) if tracer.on else events
        async with aclosing(traced):
            async for event in traced:
                yield event


async def _traced(
    tracer: Tracer,
    name: str,
    events: AsyncGenerator[Event, None],
    first: str,
    attributes: Mapping[str, Attribute],
) -> AsyncGenerator[Event, None]:
    work = work_context()
    about: dict[str, Attribute] = {"acestep.request_id": work.request_id, **attributes}
    if work.job_id:
        about |= {"acestep.job_id": work.job_id, "acestep.attempt": work.attempt}
    stages = _Stages(first)
    span = tracer.start(name, parent=work.trace, kind="consumer", attributes=about)
    try:
        with span:
            async with aclosing(events):
                async for event in events:
                    if stage := getattr(event, "stage", ""):
                        stages.begin(stage)
                    if code := getattr(event, "code", ""):
                        span.set("acestep.error_code", code)
                        span.fail(code)
                    yield event
    finally:
        # Only now, so that no stage is left without its parent if this process is killed.
        stages.begin("")
        stages.record(tracer, span)


class _Stages:
    """When each stage began and ended, epoch seconds. A stage may come several times: once per
    take, for example."""

    def __init__(self, first: str) -> None:
        self._done: list[tuple[str, float, float]] = []
        self._now, self._since = first, time.time()

    def begin(self, stage: str) -> None:
        """End the present stage, unless it goes on."""
        if stage != self._now:
            at = time.time()
            self._done.append((self._now, self._since, at))
            self._now, self._since = stage, at

    def record(self, tracer: Tracer, span: Span) -> None:
        """Make the spans."""
        for stage, began, ended in self._done:
            if ended - began >= SHORTEST:
                tracer.start(stage, parent=span.trace, at=began).end(ended)
