"""``serve run`` with a longer wait for busy machines, and if requested without Ray's dashboard, or
with a given port for metrics.

Ray waits 30 seconds until a new node has registered itself, and no setting changes that (Ray 2.60,
``ray/_private/node.py``). The node waits as long for its agents, and only 15 seconds for the files
in which they write their ports (Ray's issue 65983). On a busy machine they take longer without any
fault, because the agents load many Python modules. The first driver of a node waits for the node's
first workers, and if they have not registered after 60 seconds, Ray starts no others: the driver
waits for ever.

``serve run`` has no option to leave the dashboard out, but it uses a Ray that is started before it.
Nor has it one for the port of Ray's metrics.

``python -m deployments.serve_run [--no-dashboard] [--metrics-port=PORT] CONFIG``
"""

import contextlib
import os
import random
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

import ray
from ray._private import ray_constants, services
from ray.serve._private.constants import SERVE_NAMESPACE
from ray.serve.scripts import cli

NO_DASHBOARD = "--no-dashboard"
METRICS_PORT = "--metrics-port="

LISTEN_PORT = "dashboard_agent_listen_port"
AGENT_PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    LISTEN_PORT,
    "runtime_env_agent_port",
)
"""Of these Ray's node waits for a file, unless they are given."""
FREE_PORTS = range(20_000, 32_768)
"""Above the ports of Ray's workers (to 19999), below those that Linux gives to connections."""
PATIENCE = 300.0
"""Seconds that a new node may take to register itself. A node that has died is noticed in other
ways."""


def wait_longer_for_nodes(seconds: float = PATIENCE, metrics_port: int | None = None) -> None:
    """Let every node that this process starts from now on take up to ``seconds`` to register.

    ``metrics_port``: where it serves metrics; None: a free port.
    """
    os.environ.setdefault("RAY_agent_register_timeout_ms", f"{1000 * seconds:.0f}")
    os.environ.setdefault("RAY_worker_register_timeout_seconds", f"{seconds:.0f}")
    once = services.get_node

    def repeatedly(gcs_address: str, node_id: str) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return once(gcs_address, node_id)  # type: ignore[no-untyped-call]
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    services.get_node = repeatedly
    start_raylet, start_process = services.start_raylet, services.start_ray_process

    def with_ports(*arguments: Any, **options: Any) -> Any:
        if metrics_port is not None:
            options["metrics_export_port"] = metrics_port
        if options.get(LISTEN_PORT) == ray_constants.DEFAULT_DASHBOARD_AGENT_LISTEN_PORT:
            options[LISTEN_PORT] = None  # that of every service on this machine
        missing = [name for name in AGENT_PORTS if not options.get(name)]
        ports = {**options, **dict(zip(missing, free_ports(len(missing)), strict=True))}

        def with_last_port(command: Sequence[str], *others: Any, **more: Any) -> Any:
            # Ray tells this port to the agent, but not to the node, which has an option for it.
            port = ports[LISTEN_PORT]
            command = [*command, f"--dashboard_agent_listen_port={port}"]
            return start_process(command, *others, **more)

        services.start_ray_process = with_last_port
        try:
            return start_raylet(*arguments, **ports)
        finally:
            services.start_ray_process = start_process

    services.start_raylet = with_ports


def free_ports(count: int) -> list[int]:
    """So many different ports on which no process of this machine listens."""
    found: set[int] = set()
    while len(found) < count:
        port = random.SystemRandom().choice(FREE_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            found.add(port)
    return list(found)


def serve_run(arguments: Sequence[str]) -> None:
    """Start Ray and the application of a Serve config, and return when they end.

    ``arguments``: NO_DASHBOARD, if Ray is to start without its dashboard; METRICS_PORT with the
    port of its metrics; and those of ``serve run``.
    """
    port = next((one for one in arguments if one.startswith(METRICS_PORT)), None)
    wait_longer_for_nodes(metrics_port=int(port.removeprefix(METRICS_PORT)) if port else None)
    options = [one for one in arguments if one not in (NO_DASHBOARD, port)]
    if NO_DASHBOARD in arguments:
        ray.init(address="local", namespace=SERVE_NAMESPACE, include_dashboard=False)
        options = ["--address", "auto", *options]  # else RAY_ADDRESS makes `serve run` warn
    cli(["run", *options])


if __name__ == "__main__":
    serve_run(sys.argv[1:])
