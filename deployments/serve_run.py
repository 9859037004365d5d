"""``python -m deployments.serve_run CONFIG``: ``serve run`` with a longer wait for busy machines.

Ray waits 30 seconds until a new node has registered itself, and no setting changes that (Ray 2.60,
``ray/_private/node.py``). The node waits as long for its agents. On a busy machine they take longer
without any fault, because the agents load many Python modules.
"""

import os
import sys
import time
from typing import Any

from ray._private import services
from ray.serve.scripts import cli

PATIENCE = 300.0
"""Seconds that a new node may take to register itself. A node that has died is noticed in other
ways."""


def wait_longer_for_nodes(seconds: float = PATIENCE) -> None:
    """Let every node that this process starts from now on take up to ``seconds`` to register."""
    os.environ.setdefault("RAY_agent_register_timeout_ms", f"{1000 * seconds:.0f}")
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


if __name__ == "__main__":
    wait_longer_for_nodes()
    cli(["run", *sys.argv[1:]])
