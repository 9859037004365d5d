"""An office: desks on one database; and the end of the Redis that tests share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.redis_server import leave_none
from tests.unit.jobs.office import Office


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    office = Office(tmp_path / "jobs.sqlite")
    yield office
    for desk in office.desks:
        await desk.close()


@pytest.fixture(scope="session", autouse=True)
def _no_redis_is_left() -> Iterator[None]:
    yield
    leave_none()
