import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from acestep_ray.api.app import create_app
from acestep_ray.api.song_writer import SongWriters
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.settings import Settings
from tests.recording_meter import RecordingMeter
from tests.unit.api.harness import ApiHarness, LocalService


class MakeHarness(Protocol):
    """Starts an app; keyword arguments are settings. ``writers``: the planners of direct calls."""

    async def __call__(self, writers: SongWriters | None = None, **settings: Any) -> ApiHarness: ...


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person who runs the tests may have settings of their own."""
    for name in [name for name in os.environ if name.upper().startswith("ACESTEP_")]:
        monkeypatch.delenv(name)


@pytest.fixture
async def make_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeHarness]:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    async with AsyncExitStack() as stack:

        async def make(writers: SongWriters | None = None, **kwargs: Any) -> ApiHarness:
            settings = Settings(data=tmp_path / "data", **kwargs)
            service = LocalService(tmp_path / "data" / "jobs.sqlite", settings)
            await stack.enter_async_context(service.opened())
            artifacts = Artifacts(settings.artifacts_url)
            meter = RecordingMeter()
            app = create_app(settings, service, artifacts, writers, meter)
            transport = httpx.ASGITransport(app)
            http = await stack.enter_async_context(
                httpx.AsyncClient(transport=transport, base_url="http://music")
            )
            return ApiHarness(settings, service, artifacts, http, tmp_path, app, meter)

        yield make
    # Whatever a test did: every request deletes its files.
    assert list(temporary.iterdir()) == []


@pytest.fixture
async def api(make_api: MakeHarness) -> ApiHarness:
    return await make_api()
