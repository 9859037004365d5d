"""During a redeployment a runner of the earlier code calls planners and decoders of the new code.

Ray pickles its requests, and a pickled request lacks every field that was added later. Without the
default every such job would fail as ``internal``.
"""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.metrics import NO_METER
from acestep_ray.planner.plan_metrics import PlanMetrics
from acestep_ray.planner.protocol import PlanRequest
from acestep_ray.tracing.tracer import NO_TRACER
from deployments.decoder import Decoder
from deployments.planner import Planner


class Engine:
    """Keeps the requests that it gets. Their events are words."""

    def __init__(self) -> None:
        self.requests: list[PlanRequest | DecodeRequest] = []

    async def check(self) -> None:
        """Always live."""

    async def plan(self, request: PlanRequest) -> AsyncIterator[str]:
        self.requests.append(request)
        yield "event"

    async def decode(self, request: DecodeRequest, owns: object) -> AsyncIterator[str]:
        self.requests.append(request)
        yield "event"


async def test_a_plan_request_gets_the_default_of_what_it_lacks() -> None:
    engine = Engine()
    request = PlanRequest(job_id="job", attempt=2, caption="song", lyrics="", top_k=5)
    for name in ("temperature", "trace", "request_id"):
        del request.__dict__[name]
    replica = cast(
        "Planner",
        SimpleNamespace(_engine=engine, _metrics=PlanMetrics(NO_METER), _tracer=NO_TRACER),
    )
    events: list[object] = [event async for event in Planner.plan(replica, request)]
    assert events == ["event"]
    (got,) = engine.requests
    added = {"temperature": 0.6, "trace": "", "request_id": ""}
    assert dict(got) == {**dict(request), **added}


async def test_a_decode_request_gets_the_default_of_what_it_lacks() -> None:
    engine = Engine()
    request = DecodeRequest(
        job_id="job", attempt=2, caption="song", seconds=9, seeds=(1,), steps=8, guidance_scale=7.0
    )
    for name in ("shift", "trace", "request_id"):
        del request.__dict__[name]
    replica = cast("Decoder", SimpleNamespace(_worker=engine, _tracer=NO_TRACER))
    events: list[object] = [event async for event in Decoder.decode(replica, request)]
    assert events == ["event"]
    (got,) = engine.requests
    added = {"shift": 3.0, "trace": "", "request_id": ""}
    assert dict(got) == {**dict(request), **added}
