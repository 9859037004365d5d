"""A node leaves in order: what runs on it ends there, and the next request runs elsewhere."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray import serve
from ray.cluster_utils import Cluster

from tests.ray_processes import waited_for
from tests.service import free_port, until

# Ray's Cluster leaves a socket to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

WORK = "work"
"""A resource that only the nodes with engines have."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    os.environ["RAY_AUTH_MODE"] = "disabled"
    with waited_for():
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        ray.init(address=cluster.address, log_to_driver=False)
        http = {"host": "127.0.0.1", "port": free_port()}
        serve.start(proxy_location="HeadOnly", http_options=http)
        yield cluster
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]
    gc.collect()


def slow(folder: Path) -> Any:
    """A running deployment whose requests last until ``folder/NAME`` exists."""

    class Slow:
        async def __call__(self, name: str) -> str:
            import asyncio

            (folder / f"{name}.began").touch()
            while not (folder / name).exists():
                await asyncio.sleep(0.05)
            node: str = ray.get_runtime_context().get_node_id()
            return node

    options = {"num_cpus": 0, "resources": {WORK: 1}}
    deployment = serve.deployment(graceful_shutdown_timeout_s=120)(Slow)
    return serve.run(deployment.options(ray_actor_options=options).bind(), route_prefix=None)


def leave(cluster: Cluster, node: Any, seconds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "deployments.leave_node", f"--seconds={seconds}"]
    command += [f"--node-id={node.node_id}", f"--address={cluster.address}"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def end(hook: subprocess.Popen[str]) -> str:
    """Wait for the hook's end; return its output."""
    until(lambda: hook.poll() is not None, "the hook did not end")
    return hook.communicate()[1]


def test_a_request_ends_on_the_node_that_leaves(cluster: Cluster, tmp_path: Path) -> None:
    first = cluster.add_node(num_cpus=0, resources={WORK: 1})
    handle = slow(tmp_path)
    running = handle.remote("old")
    until((tmp_path / "old.began").exists, "the request did not begin")
    second = cluster.add_node(num_cpus=0, resources={WORK: 1})

    hook = leave(cluster, first, 120)
    # The replacement gets the new requests while the old request still runs.
    (tmp_path / "new").touch()
    until(lambda: handle.remote("new").result() == second.node_id, "nothing runs on the new node")
    assert hook.poll() is None
    (tmp_path / "old").touch()
    assert running.result() == first.node_id
    output = end(hook)
    assert hook.returncode == 0, output
    cluster.remove_node(first)

    # If the time is too short, the output lists what would be lost, and the request continues.
    running = handle.remote("long")
    until((tmp_path / "long.began").exists, "the request did not begin")
    hook = leave(cluster, second, 0)
    output = end(hook)
    assert hook.returncode == 1
    assert "ray::ServeReplica:" in output
    (tmp_path / "long").touch()
    assert running.result() == second.node_id


def test_where_no_ray_runs_the_hook_ends_at_once(cluster: Cluster) -> None:
    """The autoscaler ends Ray on a node before it deletes the pod: no reason for a warning."""
    command = [sys.executable, "-m", "deployments.leave_node", "--seconds=600"]
    command += ["--node-id=none", f"--address={cluster.address}"]
    subprocess.run(command, check=True)
