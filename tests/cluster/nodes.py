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
from ray import serve
from ray.cluster_utils import Cluster
from ray.serve.schema import ApplicationStatus

from acestep_ray.replicas.registry import Registration, RegistrySnapshot
from acestep_ray.startup.launcher import environment
from deployments.job_store_client import store_actors
from deployments.names import APP, NAMESPACE
from tests import progress
from tests.ray_processes import waited_for
from tests.service import ROOT, Service, free_port, until

SERVE = Path(sys.executable).with_name("serve")
STEADY = "steady"
"""Ray resource of the nodes that the job store actor may be on."""


class ClusterService(Service):
    """The application on a cluster that already runs. ``nodes``: those that have GPUs."""

    def __init__(self, data: Path, config: Mapping[str, Any], cluster: Cluster) -> None:
        super().__init__(data, {}, config)
        self.cluster = cluster
        self.nodes = list(cluster.worker_nodes)

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Deploy the application as in ``config``, replacing the deployed one; does not wait."""
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
        progress.watched.add(self.signs)
        self.deploy(self._config)
        until(self._ready, "the service did not become ready")

    def _ready(self) -> bool:
        app = serve.status().applications.get(APP)
        assert app is None or app.status is not ApplicationStatus.DEPLOY_FAILED, app.message
        try:
            return self.http.get("/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """Does nothing: the service ends with its cluster."""
        progress.watched.discard(self.signs)
        self.http.close()

    def kill_node(self, node: Any) -> None:
        """Kill every process of a node at once."""
        self.nodes.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def insist(self, key: str, **fields: Any) -> str:
        """Submit a job as a client does that repeats failed requests, and return its id.

        ``key``: the idempotency key; it belongs to one job on the whole cluster.
        """

        def accepted() -> str | None:
            try:
                answer = self.http.post(
                    "/v1/music/generate", json=fields, headers={"Idempotency-Key": key}
                )
            except httpx.HTTPError:
                return None
            assert answer.status_code == 200 or answer.status_code >= 500, answer.text
            return answer.json()["job_id"] if answer.status_code == 200 else None

        job_id: str = until(accepted, f"{key} was not accepted")
        return job_id

    def store_actor(self) -> Any:
        """The job store actor."""
        names = store_actors()
        return ray.get_actor(names[max(names)], namespace=NAMESPACE)

    def node_of_store(self) -> Any:
        """The node of the job store actor, among those with GPUs."""
        node_id = ray.get(self.store_actor().__ray_call__.remote(_node_id))
        return next(node for node in self.nodes if node.node_id == node_id)

    def registry(self) -> RegistrySnapshot:
        """The live engine replicas, according to the job store actor."""
        view: RegistrySnapshot = ray.get(self.store_actor().replicas.remote())
        return view

    def replicas(self, deployment: str) -> list[Registration]:
        """The live replicas of a deployment."""
        return [one for one in self.registry().live if one.deployment == deployment]

    def until_replicas(self, deployment: str, count: int) -> None:
        """Wait until a deployment has ``count`` live replicas."""
        try:
            until(lambda: len(self.replicas(deployment)) == count, "other replicas")
        except AssertionError as error:
            raise AssertionError(
                f"{deployment} did not come to {count} replicas: {self.registry()} {serve.status()}"
            ) from error

    def ended(self) -> int:
        """How many jobs have ended, with or without success."""
        try:
            stats = self.http.get("/v1/stats").raise_for_status().json()
        except httpx.HTTPError:
            return -1  # the ingress was on the node that died
        return int(stats["succeeded"] + stats["failed"])


def _node_id(_: object) -> str:
    node_id: str = ray.get_runtime_context().get_node_id()
    return node_id


@contextmanager
def cluster_of(nodes: int, gpus: int) -> Iterator[Cluster]:
    """A head without GPUs, and ``nodes`` with ``gpus`` each; this process is connected to it.

    All but the last of them have the resource STEADY.
    """
    with (
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
        waited_for(),
    ):
        for name in [name for name in os.environ if name.startswith("ACESTEP_")]:
            patch.delenv(name)
        for name, value in environment().items():
            patch.setenv(name, value)
        # Also where Ray stores the cluster's address: a machine that has never run Ray has no
        # folder for that, and on other machines it holds the address of another cluster.
        patch.setenv("RAY_TMPDIR", folder)
        path = filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        head = {"num_cpus": 4, "include_dashboard": False, "dashboard_port": free_port()}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for number in range(1, nodes + 1):
                resources = {STEADY: 1} if number < nodes else {}
                cluster.add_node(num_cpus=4, num_gpus=gpus, resources=resources)
            ray.init(address=cluster.address, logging_level=logging.ERROR, log_to_driver=False)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()  # type: ignore[no-untyped-call]
