"""What a planner's metrics show: the time of each stage, and when its engine works."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import pytest

from acestep_ray.metrics import STAGE_SECONDS, STAGE_TIME
from acestep_ray.planner.plan_metrics import PlanMetrics
from acestep_ray.planner.protocol import PlannerError, PlanProgress
from tests.recording_meter import RecordingMeter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def meter() -> RecordingMeter:
    return RecordingMeter()


Step = tuple[float, PlanProgress | str | Exception]


async def engine(clock: Clock, steps: Sequence[Step]) -> AsyncGenerator[PlanProgress | str, None]:
    """Each event comes so many seconds after the one before; a text is the result."""
    for seconds, event in steps:
        clock.now += seconds
        if isinstance(event, Exception):
            raise event
        yield event


def progress(stage: str, step: int = 0) -> PlanProgress:
    return PlanProgress.model_validate({"stage": stage, "step": step, "total": 10})


PLAN: Sequence[Step] = (
    (1, progress("waiting")),
    (4, progress("waiting", 1)),
    (0, progress("metadata")),
    (2, progress("metadata", 10)),
    (0, progress("codes")),
    (7, progress("codes", 5)),
    (8, "plan"),
)


async def test_each_stage_has_its_time(clock: Clock, meter: RecordingMeter) -> None:
    metrics = PlanMetrics(meter, clock)
    events = [event async for event in metrics.measured(engine(clock, PLAN))]
    assert events == [event for _, event in PLAN]
    expected = {"waiting": 5.0, "metadata": 2.0, "codes": 15.0}
    seconds = {("planner", stage): spent for stage, spent in expected.items()}
    assert meter.counted(STAGE_TIME) == seconds
    observed = meter.observed[STAGE_SECONDS.name]
    assert {one: sum(values) for one, values in observed.items()} == seconds
    assert metrics.busy.take() == 17  # not while it waited


async def test_plans_at_the_same_time_do_not_make_an_engine_busier_than_it_is(
    clock: Clock, meter: RecordingMeter
) -> None:
    metrics = PlanMetrics(meter, clock)

    async def plan() -> None:
        async for _ in metrics.measured(engine(clock, ((0, progress("codes")), (3, "plan")))):
            await asyncio.sleep(0)

    await asyncio.gather(plan(), plan())
    assert metrics.busy.take() == clock.now


async def test_a_plan_that_fails_does_not_keep_the_engine_busy(
    clock: Clock, meter: RecordingMeter
) -> None:
    metrics = PlanMetrics(meter, clock)
    steps = ((0, progress("codes")), (3, PlannerError("no")))
    with pytest.raises(PlannerError):
        async for _ in metrics.measured(engine(clock, steps)):
            pass
    clock.now += 100
    assert metrics.busy.take() == 3
    assert meter.counted(STAGE_TIME) == {}


async def test_a_plan_that_is_stopped_stops_the_engine(clock: Clock, meter: RecordingMeter) -> None:
    metrics = PlanMetrics(meter, clock)
    inner = engine(clock, PLAN)
    async with aclosing(metrics.measured(inner)) as events:
        async for event in events:
            if event == progress("codes"):
                break
    assert [event async for event in inner] == []
    clock.now += 100
    assert metrics.busy.take() == 2
