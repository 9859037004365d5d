"""The time that the mock takes, with the progress of a real engine."""

import asyncio
from collections.abc import AsyncGenerator
from time import perf_counter
from typing import Literal

from acestep_ray.planner.protocol import PlanProgress

_PROGRESS_SECONDS = 0.25


async def write_slowly(
    stage: Literal["codes", "writing"], total: int, token_seconds: float
) -> AsyncGenerator[PlanProgress, None]:
    """Take ``token_seconds`` for each of ``total`` tokens, also if it is read slowly."""
    yield PlanProgress(stage=stage, step=0, total=total)
    begun = perf_counter()
    end = begun + total * token_seconds
    while (left := end - perf_counter()) > 0:
        await asyncio.sleep(min(left, _PROGRESS_SECONDS))
        step = int((perf_counter() - begun) / token_seconds)
        if step < total:
            yield PlanProgress(stage=stage, step=step, total=total)
    yield PlanProgress(stage=stage, step=total, total=total)
