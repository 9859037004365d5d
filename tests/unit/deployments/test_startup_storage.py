"""A replica waits for storage that is away, and fails if it can never use the storage."""

import asyncio
from pathlib import Path

import pytest

from acestep_ray.artifacts.errors import StorageUnusable
from acestep_ray.settings import Settings
from deployments.startup_checks import storage_ready, until_storage_ready
from tests.s3 import S3Server


async def test_storage_that_is_away_is_waited_for(
    s3: S3Server, s3_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(artifacts=s3_url, downloads="redirect")
    s3.kill()
    try:
        waiting = asyncio.create_task(until_storage_ready(settings))
        async with asyncio.timeout(60):
            while not caplog.messages:
                await asyncio.sleep(0.05)
        assert not waiting.done()
        assert f"ACESTEP_ARTIFACTS={s3_url} cannot be reached" in caplog.messages[0]
    finally:
        await asyncio.to_thread(s3.start)
    await waiting
    assert await storage_ready(settings)


async def test_storage_that_is_not_there_is_not_waited_for(s3_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for url in ("s3://nowhere", (tmp_path / "file" / "store").as_uri()):
        with pytest.raises(StorageUnusable, match="ACESTEP_ARTIFACTS"):
            await until_storage_ready(Settings(artifacts=url))
