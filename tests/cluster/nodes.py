"""A Ray cluster of several nodes on this machine, with GPUs that are only numbers."""

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import ray
import yaml
from ray.cluster_utils import Cluster

from acestep_ray.jobs.roster import Announcement, RosterView
from acestep_ray.launch import environment
from deployments.names import NAMESPACE
from deployments.store_client import store_actors
from tests.service import ROOT, Service, free_port, until

SERVE = Path(sys.executable).with_name("serve")
ALL_UP_SECONDS = 300.0
"""Longest that replicas may take to come; two dozen Python processes start on few cores."""


class ClusterService(Service):
    """The application on a cluster that is up already. ``nodes``: those that have GPUs."""

    def __init__(self, data: Path, config: Mapping[str, Any], cluster: Cluster) -> None:
        super().__init__(data, {}, config)
        self.cluster = cluster
        self.nodes = list(cluster.worker_nodes)

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Deploy the application as ``config`` says, in place of what there is; does not wait."""
        http = {"host": "127.0.0.1", "port": self.port}
        file = self.data.parent / f"{self.data.name}.yaml"
        file.write_text(yaml.safe_dump({**config, "http_options": http}))
        subprocess.run(
            [SERVE, "run", "--address", self.cluster.address, "--non-blocking", file],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        """Deploy it, and wait until it is ready."""
        self.deploy(self._config)
        until(self._ready, "the service did not become ready", ALL_UP_SECONDS)

    def _ready(self) -> bool:
        try:
            return self.http.get("/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """It ends with its cluster."""
        self.http.close()

    def kill_node(self, node: Any) -> None:
        """Kill every process of a node at once."""
        self.nodes.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def roster(self) -> RosterView:
        """Which engine replicas live, as the job store actor knows them."""
        names = store_actors()
        actor: Any = ray.get_actor(names[max(names)], namespace=NAMESPACE)
        view: RosterView = ray.get(actor.roster.remote())
        return view

    def replicas(self, deployment: str) -> list[Announcement]:
        """The live replicas of a deployment."""
        return [word for word in self.roster().live if word.deployment == deployment]

    def until_replicas(self, deployment: str, count: int, seconds: float = ALL_UP_SECONDS) -> None:
        """Wait until a deployment has ``count`` live replicas."""
        until(
            lambda: len(self.replicas(deployment)) == count,
            f"{deployment} did not come to {count} replicas",
            seconds,
        )

    def ended(self) -> int:
        """How many jobs have ended, well or not."""
        try:
            stats = self.http.get("/v1/stats").raise_for_status().json()
        except httpx.HTTPError:
            return -1  # the ingress was on the node that died
        return int(stats["succeeded"] + stats["failed"])


@contextmanager
def cluster_of(nodes: int, gpus: int) -> Iterator[Cluster]:
    """A head without GPUs, and ``nodes`` with ``gpus`` each; this process is connected to it."""
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in [name for name in os.environ if name.startswith("ACESTEP_")]:
            patch.delenv(name)
        for name, value in environment().items():
            patch.setenv(name, value)
        path = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        head = {"num_cpus": 4, "include_dashboard": False, "dashboard_port": free_port()}
        cluster = Cluster(initialize_head=True, head_node_args={**head, "temp_dir": folder})
        try:
            for _ in range(nodes):
                cluster.add_node(num_cpus=4, num_gpus=gpus, temp_dir=folder)
            ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()  # type: ignore[no-untyped-call]
