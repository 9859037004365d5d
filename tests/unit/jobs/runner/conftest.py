"""A runner over each kind of store, with engines that the test controls."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.runner import workflow
from acestep_ray.jobs.runner.runner import Runner
from acestep_ray.settings import Settings
from tests.unit.jobs.engines import FakeEngines
from tests.unit.jobs.local_client import LocalClient
from tests.unit.jobs.store.conftest import FACTORIES


@pytest.fixture
def lease_seconds() -> float:
    """Longer than any pause of a busy machine. A test of lost runners sets it."""
    return 60.0


@pytest.fixture
def settings(lease_seconds: float) -> Settings:
    return Settings.model_validate({"jobs": {"lease_seconds": lease_seconds}})


@pytest.fixture(params=FACTORIES)
async def client(
    request: pytest.FixtureRequest, tmp_path: Path, settings: Settings
) -> AsyncIterator[LocalClient]:
    coordinator = JobCoordinator(FACTORIES[request.param](tmp_path), settings)
    await coordinator.open()
    client = LocalClient(coordinator)
    client.deploy(2, 2)
    yield client
    await coordinator.close()


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts((tmp_path / "artifacts").as_uri())


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> FakeEngines:
    monkeypatch.setattr(workflow, "UNSTARTED_PAUSE", 0.0)
    return FakeEngines()


@pytest.fixture
async def runner(
    client: LocalClient, engines: FakeEngines, artifacts: Artifacts, settings: Settings
) -> AsyncIterator[Runner]:
    runner = Runner(client, engines, artifacts, settings)
    runner.start()
    yield runner
    engines.gate.set()
    await runner.drain()
