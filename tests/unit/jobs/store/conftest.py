"""The contract suite runs over every implementation: add a factory here and it is held to all."""

import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acestep_ray.jobs.store.redis import RedisStore
from acestep_ray.jobs.store.sqlite import SqliteStore
from tests.redis_server import RedisServer
from tests.unit.jobs.store.contract import Bench, StoreFactory


def _sqlite(folder: Path) -> StoreFactory:
    return lambda: SqliteStore(folder / "jobs.sqlite", lock_wait=0)


def _redis(folder: Path) -> StoreFactory:
    server = shared_redis()
    server.do("FLUSHALL")
    return lambda: RedisStore(server.url)


@functools.cache
def shared_redis() -> RedisServer:
    """One for all tests that do not kill it; each begins with an empty one."""
    # Waiting for the disk is not what they test.
    server = RedisServer(Path(tempfile.mkdtemp(prefix="redis-")), appendfsync="no")
    server.start()
    return server


@pytest.fixture(scope="session", autouse=True)
def _no_redis_is_left() -> Iterator[None]:
    yield
    if shared_redis.cache_info().currsize:
        shared_redis().kill()
        shutil.rmtree(shared_redis().folder)


FACTORIES: dict[str, Callable[[Path], StoreFactory]] = {"sqlite": _sqlite, "redis": _redis}


@pytest.fixture(params=FACTORIES)
def store_factory(request: pytest.FixtureRequest, tmp_path: Path) -> StoreFactory:
    return FACTORIES[request.param](tmp_path)


@pytest.fixture
def bench(store_factory: StoreFactory) -> Iterator[Bench]:
    bench = Bench(store_factory)
    yield bench
    bench.store.close()
