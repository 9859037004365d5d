"""Coordinators on one database; and the end of the Redis that tests share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.redis_server import leave_none
from tests.unit.jobs.harness import CoordinatorHarness


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[CoordinatorHarness]:
    harness = CoordinatorHarness(tmp_path / "jobs.sqlite")
    yield harness
    for coordinator in harness.coordinators:
        await coordinator.close()


@pytest.fixture(scope="session", autouse=True)
def _no_redis_is_left() -> Iterator[None]:
    yield
    leave_none()
