import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acestep_ray.client import Client, Retries
from tests.one_process import OneProcess, one_process
from tests.unit.client.blocking import make

QUICK = Retries(seconds=60, outage=60, first_pause=0.01, longest_pause=0.05)
"""Short pauses, and a limit that a busy machine does not reach."""
MakeClient = Callable[..., Client]


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The person who runs the tests may have a service of their own."""
    for name in ("ACESTEP_URL", "ACESTEP_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["sync", "async"])
def client_of(request: pytest.FixtureRequest) -> Iterator[MakeClient]:
    """Makes a client of an address; the asynchronous one has the same methods in these tests."""
    with asyncio.Runner() as runner:
        clients: list[Client] = []

        def make_one(
            url: str, api_key: str | None = None, *, timeout: float = 30, retries: Retries = QUICK
        ) -> Client:
            clients.append(
                make(request.param, runner, url, api_key, timeout=timeout, retries=retries)
            )
            return clients[-1]

        yield make_one
        for client in clients:
            client.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    """The service with mock engines, in this process."""
    with one_process(data=tmp_path_factory.mktemp("data")) as found:
        yield found


@pytest.fixture
def client(client_of: MakeClient, server: OneProcess) -> Client:
    """A client of that service."""
    return client_of(server.url)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where downloads go; it does not exist yet."""
    return tmp_path / "songs" / "of today"
