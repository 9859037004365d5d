"""One cluster for the folder: three nodes with eight GPUs each, a Redis, a folder for audio."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deployments.serve_run import wait_longer_for_nodes
from tests.cluster.nodes import STEADY, ClusterService, cluster_of
from tests.redis_server import RedisServer
from tests.service import ROOT

wait_longer_for_nodes()

NODES = 3
GPUS = 8
"""A node."""


@pytest.fixture(scope="package")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The shipped config with other scaling settings: one decoder on each GPU, all the time."""
    folder = tmp_path_factory.mktemp("cluster")
    redis = RedisServer(folder / "redis")
    redis.start()
    document: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    app = document["applications"][0]
    app["deployments"] = [d for d in app["deployments"] if d["name"] in ("Ingress", "Runner")]
    everywhere = {"num_gpus": 1, "min_replicas": NODES * GPUS, "max_replicas": NODES * GPUS}
    app["args"] |= {
        "data": str(folder / "data"),
        "store": redis.url,
        "store_resource": STEADY,
        "artifacts": (folder / "audio").as_uri(),
        "artifacts_shared": True,  # all nodes are on this machine
        "limits": {"queue": 1000},
        "mock": {"step_seconds": 0.25},
        "scaling": {"decoder": everywhere, "target_seconds": 5, "idle_seconds": 3},
    }
    yield document
    redis.kill()


@pytest.fixture(scope="package")
def service(
    tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]
) -> Iterator[ClusterService]:
    """The application on the cluster, ready."""
    with cluster_of(NODES, GPUS) as cluster:
        service = ClusterService(tmp_path_factory.mktemp("service") / "data", config, cluster)
        service.start()
        yield service
        service.stop()


@pytest.fixture
def changed(config: dict[str, Any]) -> dict[str, Any]:
    """A copy of the config that the test may change."""
    return copy.deepcopy(config)
