"""An office: desks on one database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.jobs.office import Office


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    office = Office(tmp_path / "jobs.sqlite")
    yield office
    for desk in office.desks:
        await desk.close()
