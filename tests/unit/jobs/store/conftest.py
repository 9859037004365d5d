"""The contract suite runs on every implementation: a factory added here is tested, too."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acestep_ray.jobs.store.redis import RedisStore
from acestep_ray.jobs.store.sqlite import SqliteStore
from tests.redis_server import RedisServer, empty_redis
from tests.unit.jobs.store.contract import StoreFactory, StoreHarness


def _sqlite(folder: Path) -> StoreFactory:
    return lambda: SqliteStore(folder / "jobs.sqlite", lock_wait=0)


def _redis(folder: Path) -> StoreFactory:
    url = empty_redis().url
    return lambda: RedisStore(url)


FACTORIES: dict[str, Callable[[Path], StoreFactory]] = {"sqlite": _sqlite, "redis": _redis}


@pytest.fixture(params=FACTORIES)
def store_factory(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFactory:
    return FACTORIES[request.param](tmp_path)


@pytest.fixture
def harness(store_factory: StoreFactory) -> Iterator[StoreHarness]:
    harness = StoreHarness(store_factory)
    yield harness
    harness.store.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may damage."""
    with RedisServer(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    """A store on that server."""
    store = RedisStore(server.url)
    yield store
    store.close()
