"""One started engine for all files: each start takes half a minute."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from acestep_ray.planner.vllm.engine import VllmPlanner
from tests.models.planner.vllm.started import load


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(checkpoints: Path) -> AsyncIterator[VllmPlanner]:
    engine = load(checkpoints)
    await engine.check()
    yield engine
    await engine.close()
