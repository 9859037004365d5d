"""A node joins a cluster whose jobs and audio are on one machine: refused at start, and later."""

import asyncio
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from pydantic import SecretStr
from ray.cluster_utils import Cluster

from acestep_ray.settings import Settings
from deployments import startup_checks
from deployments.app import build
from deployments.replica import cluster_id
from deployments.startup_checks import SingleNodeStorage, watch_nodes
from tests.ray_processes import waited_for
from tests.redis_server import RedisServer
from tests.service import until

# Ray's nodes keep their ports open until they are garbage collected.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def new_cluster() -> Cluster:
    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False)
    return cluster


def end(cluster: Cluster) -> None:
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with waited_for():
        cluster = new_cluster()
        yield cluster
        end(cluster)
    del cluster
    gc.collect()


def add_node(cluster: Cluster) -> None:
    cluster.add_node(num_cpus=1)
    until(lambda: startup_checks.count_nodes() == 2, "the node does not join")


async def test_a_second_node(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = Settings(data=tmp_path)
    url = SecretStr(RedisServer(tmp_path).url)
    folder = Settings(data=tmp_path, store=url)
    shared = Settings(data=tmp_path, store=url, artifacts_shared=True)
    for settings in (file, folder, shared):
        build(settings)

    # If the service already runs when the node joins, it continues, and reports it.
    monkeypatch.setattr(startup_checks, "CHECK_EVERY", 0.1)
    watch = asyncio.create_task(watch_nodes(file))
    await asyncio.sleep(0.5)
    assert caplog.text == ""
    add_node(cluster)
    line = "set ACESTEP_STORE=redis://HOST:PORT/DB. Jobs and audio"
    await asyncio.to_thread(until, lambda: caplog.text.count(line) >= 2, "nothing is logged")
    watch.cancel()

    with pytest.raises(SingleNodeStorage, match="2 nodes, and a SQLite job store"):
        build(file)
    with pytest.raises(SingleNodeStorage, match="or ACESTEP_ARTIFACTS_SHARED=true"):
        build(folder)
    build(shared)


@ray.remote
def seen_by_a_task() -> tuple[str, str]:
    return cluster_id(), ray.get_runtime_context().get_node_id()


async def test_a_cluster_has_one_name(cluster: Cluster) -> None:
    """Otherwise their slots would be counted separately, or those of two clusters together."""
    add_node(cluster)
    nodes: list[dict[str, str]] = ray.nodes()  # type: ignore[no-untyped-call]
    seen = [
        ray.get(
            seen_by_a_task.options(num_cpus=1, label_selector={"ray.io/node-id": node}).remote()
        )
        for node in [node["NodeID"] for node in nodes]
    ]
    assert len({node for _, node in seen}) == 2
    first = cluster_id()
    assert {name for name, _ in seen} == {first}
    ray.shutdown()
    other = new_cluster()
    assert cluster_id() not in ("", first)
    end(other)
