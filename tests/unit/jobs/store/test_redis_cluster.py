"""A Redis Cluster of two nodes; one of them has the jobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from acestep_ray.jobs.store.errors import StoreUnavailable, StoreUnsuitable
from acestep_ray.jobs.store.redis import RedisStore
from tests.redis_server import RedisServer
from tests.service import free_port, until
from tests.unit.jobs.store.contract import StoreHarness


def is_whole(node: RedisServer) -> bool:
    return bool(node.do("CLUSTER INFO")["cluster_state"] == "ok")


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[RedisServer]]:
    """The first node has the slots of no job, the second has those of all."""
    nodes = []
    for number, slots in enumerate(((0, 7000), (7001, 16383))):
        node = RedisServer(
            tmp_path / f"{number}", **{"cluster-enabled": "yes", "cluster-port": f"{free_port()}"}
        )
        node.start()
        node.do("CLUSTER ADDSLOTSRANGE", *slots)
        nodes.append(node)
    first, second = nodes
    first.do("CLUSTER MEET", "127.0.0.1", second.port, second.options["cluster-port"])
    until(lambda: all(map(is_whole, nodes)), "no cluster")
    yield nodes
    for node in nodes:
        node.kill()


def test_a_store_finds_the_node_that_has_the_jobs(nodes: list[RedisServer]) -> None:
    first, second = nodes
    harness = StoreHarness(lambda: RedisStore(first.url))
    harness.succeed("a")
    harness.reopen()
    peers = harness.store.peers()
    assert peers is not None
    peers.exchange("state", 0)
    harness.submit("b")
    assert (first.do("DBSIZE"), second.do("DBSIZE") > 0) == (0, True)
    other = RedisStore(second.url).peers()
    other.exchange("", 0)
    assert other.exchange("", 0).states == ("state",)

    second.kill()
    with pytest.raises(StoreUnavailable):
        harness.submit("c")
    second.start()
    until(lambda: is_whole(second), "no cluster")

    def accepts() -> bool:
        try:
            harness.submit("c")
        except StoreUnavailable:
            return False
        return True

    until(accepts, "the node is not found again")
    assert harness.positions() == {"b": 1, "c": 2}
    harness.store.close()


def test_it_is_that_node_that_is_asked_what_it_may_lose(nodes: list[RedisServer]) -> None:
    first, second = nodes
    second.do("CONFIG SET", "appendonly", "no")
    with pytest.raises(StoreUnsuitable, match=f"Redis at .*:{first.port}"):
        RedisStore(first.url)
