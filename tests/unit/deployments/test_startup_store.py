"""A replica starts on a job store that is away, and fails if it can never use the store."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from acestep_ray.jobs.store.errors import StoreUnsuitable
from acestep_ray.settings import Settings
from deployments.startup_checks import store_ready
from tests.redis_server import RedisServer


async def test_a_store_that_is_away_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = RedisServer(tmp_path)
    settings = Settings(store=SecretStr(server.url))
    assert not await store_ready(settings)
    assert "cannot be reached" in caplog.text
    server.start()
    assert await store_ready(settings)
    server.do("CONFIG SET", "appendonly", "no")
    with pytest.raises(StoreUnsuitable, match="set appendonly yes"):
        await store_ready(settings)
    server.kill()


async def test_a_file_is_left_to_its_owner(tmp_path: Path) -> None:
    assert await store_ready(Settings(data=tmp_path))
    assert list(tmp_path.iterdir()) == []
