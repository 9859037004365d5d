"""Measures the plans and texts of one planner replica."""

import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TypeVar

from acestep_ray.busy_time import BusyTime
from acestep_ray.metrics import STAGE_SECONDS, STAGE_TIME, Meter
from acestep_ray.planner.protocol import PlanProgress

T = TypeVar("T")

KIND = "planner"
WAITING = "waiting"
"""The stage in which the engine works on other plans only."""


class PlanMetrics:
    """``busy``: when the engine worked on at least one plan or text. ``clock``: seconds."""

    def __init__(self, meter: Meter, clock: Callable[[], float] = time.monotonic) -> None:
        self.busy = BusyTime(clock)
        self._meter = meter
        self._clock = clock

    async def measured(
        self, events: AsyncGenerator[PlanProgress | T, None]
    ) -> AsyncGenerator[PlanProgress | T, None]:
        """The same events. Their stages are recorded after the last one; those of a plan that is
        stopped or fails are not."""
        seconds: dict[str, float] = defaultdict(float)
        stage, since, working = "", self._clock(), False
        try:
            async with aclosing(events):
                async for event in events:
                    next_stage = event.stage if isinstance(event, PlanProgress) else ""
                    now = self._clock()
                    seconds[stage or next_stage] += now - since
                    stage, since = next_stage, now
                    if next_stage not in ("", WAITING) and not working:
                        self.busy.begin()
                        working = True
                    yield event
        finally:
            if working:
                self.busy.end()
        for one, spent in seconds.items():
            if one:
                self._meter.observe(STAGE_SECONDS, spent, kind=KIND, stage=one)
                self._meter.add(STAGE_TIME, spent, kind=KIND, stage=one)
