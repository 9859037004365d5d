"""The drills' service, their size, and the table they print."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis

from deployments.serve_run import wait_longer_for_nodes
from tests.otlp_receiver import OtlpReceiver
from tests.redis_server import RedisServer
from tests.service import ROOT, Service, running

# For the drills that start Ray here; `acestep-ray serve` does the same for the others.
wait_longer_for_nodes()
os.environ.setdefault("RAY_worker_niceness", "0")

FULL = os.environ.get("FAULTS") == "full"
STORES = ("sqlite", "redis") if FULL else ("sqlite",)
"""Where the drills' services keep their jobs; drills of Redis itself always use Redis."""
TABLE = pytest.StashKey[dict[str, dict[str, float]]]()


@pytest.fixture(scope="session")
def jobs() -> int:
    """Jobs in flight when something is killed."""
    return 40 if FULL else 8


@pytest.fixture(scope="session")
def config() -> dict[str, Any]:
    """The shipped config, with two decoders from the start."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    document["applications"][0]["args"]["scaling"]["decoder"]["min_replicas"] = 2
    return document


@pytest.fixture(scope="session")
def mock_engines() -> dict[str, str]:
    """Engines that take about a second per job, as a fast GPU does."""
    return {"ACESTEP_MOCK__STEP_SECONDS": "0.1", "ACESTEP_MOCK__TOKEN_SECONDS": "0.02"}


@pytest.fixture(scope="package", params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    """Every drill that uses this, or a fixture made with it, runs on each store."""
    return str(request.param)


@pytest.fixture(scope="package")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Database 0 is for the common service, database 1 for the drill. Drills must not damage it."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(scope="package")
def traces() -> Iterator[OtlpReceiver]:
    """Where the common service sends its traces."""
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="package")
def service(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    config: dict[str, Any],
    mock_engines: dict[str, str],
    store: str,
    traces: OtlpReceiver,
) -> Iterator[Service]:
    """One service for the drills that do not damage it. It sends traces and logs JSON."""
    data = tmp_path_factory.mktemp("faults") / "data"
    observed = {
        "ACESTEP_TRACING__ENDPOINT": traces.url,
        "ACESTEP_LOGS__FORMAT": "json",
        "ACESTEP_LOGS__LEVEL": "info",
    }
    environment = mock_engines | store_environment(request, store, 0) | observed
    with running(data, environment, config) as service:
        yield service


@pytest.fixture
def environment(
    request: pytest.FixtureRequest, mock_engines: dict[str, str], store: str
) -> dict[str, str]:
    """For a service of the drill's own: mock engines, and an empty store."""
    return mock_engines | store_environment(request, store, 1)


def store_environment(request: pytest.FixtureRequest, store: str, database: int) -> dict[str, str]:
    """Where the jobs are kept; SQLite's file is in the data folder."""
    if store == "sqlite":
        return {}
    redis: RedisServer = request.getfixturevalue("redis")
    url = f"redis://127.0.0.1:{redis.port}/{database}"
    with Redis.from_url(url) as client:
        client.flushdb()
    return {"ACESTEP_STORE": url}


@pytest.fixture
def table(request: pytest.FixtureRequest) -> dict[str, float]:
    """Seconds from a fault until all jobs progressed again, by what was killed."""
    store = request.getfixturevalue("store") if "store" in request.fixturenames else "redis"
    return request.config.stash.setdefault(TABLE, {}).setdefault(store, {})


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    columns = config.stash.get(TABLE, {})
    if columns:
        terminalreporter.section("fault drills: seconds until all jobs moved again")
        terminalreporter.write_line(" " * 44 + "".join(f"{store:>9}" for store in columns))
        for name in dict.fromkeys(name for rows in columns.values() for name in rows):
            figures = (rows.get(name) for rows in columns.values())
            line = "".join(" " * 9 if f is None else f"{f:9.2f}" for f in figures)
            terminalreporter.write_line(f"{name:<44}{line}".rstrip())


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """A data folder for a service of the test's own."""
    return tmp_path / "data"
