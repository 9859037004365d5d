"""How the tests start a vLLM engine, and when it is idle again."""

import asyncio
from pathlib import Path
from typing import Any

from acestep_ray.planner.engines import make_planner
from acestep_ray.planner.vllm.engine import VllmPlanner
from acestep_ray.settings import Lm, Settings

PLANS = 4
LM = Lm(max_concurrent_plans=PLANS, context=4096, caption_tokens=10, lyrics_tokens=12)


def load(checkpoints: Path, **fields: Any) -> VllmPlanner:
    settings = Settings(planner="vllm", checkpoints=checkpoints, lm=LM.model_copy(update=fields))
    engine = make_planner(settings)
    assert isinstance(engine, VllmPlanner)
    return engine


async def nothing_left(engine: VllmPlanner) -> None:
    """No request, and no KV block of one; an aborted request needs a step to disappear."""
    vllm = engine._requests._engine
    async with asyncio.timeout(30):
        while vllm.get_num_unfinished_requests() or not await vllm.reset_prefix_cache():
            await asyncio.sleep(0.05)
