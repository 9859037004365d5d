"""The drills' service, their size, and the table they print."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.service import ROOT, Service, running

FULL = os.environ.get("FAULTS") == "full"
TABLE = pytest.StashKey[dict[str, float]]()


@pytest.fixture(scope="session")
def jobs() -> int:
    """Jobs in flight when something is killed."""
    return 40 if FULL else 8


@pytest.fixture(scope="session")
def config() -> dict[str, Any]:
    """The shipped config, with two decoders from the start."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    document["applications"][0]["args"]["scaling"]["decoder"]["min_replicas"] = 2
    for deployment in document["applications"][0]["deployments"]:
        if deployment["name"] in ("Decoder", "Planner"):
            deployment["ray_actor_options"] = {"num_cpus": 0}
    return document


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Mock engines that take about a second a job, as a fast GPU does."""
    return {"ACESTEP_MOCK__STEP_SECONDS": "0.1", "ACESTEP_MOCK__TOKEN_SECONDS": "0.02"}


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory,
    config: dict[str, Any],
    environment: dict[str, str],
) -> Iterator[Service]:
    """One service for the drills that leave it whole."""
    with running(tmp_path_factory.mktemp("faults") / "data", environment, config) as service:
        yield service


@pytest.fixture
def table(request: pytest.FixtureRequest) -> dict[str, float]:
    """Seconds from a fault until all moved again, by what was killed."""
    return request.config.stash.setdefault(TABLE, {})


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash.get(TABLE, {})
    if rows:
        terminalreporter.section("fault drills: seconds until all jobs moved again")
        for name, seconds in rows.items():
            terminalreporter.write_line(f"{name:<44} {seconds:7.2f}")


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """A data folder for a service of the test's own."""
    return tmp_path / "data"
