"""``python -m deployments.leave_node --seconds N``: let this Ray node's jobs end before it goes.

A pod's preStop hook. At SIGTERM, Ray and everything that it runs end: a job of an hour would start
again on another node. So this node is drained first: Serve starts replacements elsewhere and stops
the replicas here, each after its last request. The hook returns when they are gone. It checks
processes of this node, because the head may be restarting meanwhile.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

REPLICA = "ray::ServeReplica:"
"""Prefix of the process titles of Serve's replicas."""
NODE_ID = "--node_id="
"""A raylet's argument."""
POLL_SECONDS = 1.0


class NotLeft(RuntimeError):
    """The jobs on this node are lost if it stops now; the message names the reason."""


def leave(seconds: float, address: str, node_id: str = "") -> None:
    """Drain this machine's Ray node and wait until its replicas have ended.

    ``address``: HOST:PORT of the GCS. ``node_id`` selects one of several nodes on a machine. Does
    nothing if no node runs any more (the autoscaler drains a node before it deletes the pod).
    Raises NotLeft if Ray refuses to drain the node, or if replicas still run after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    raylet = _raylet(node_id)
    if raylet is None:
        return
    found = next(a for a in raylet.cmdline() if a.startswith(NODE_ID)).removeprefix(NODE_ID)
    command = [
        str(Path(sys.executable).with_name("ray")),
        "drain-node",
        f"--address={address}",
        f"--node-id={found}",
        "--reason=DRAIN_NODE_REASON_PREEMPTION",
        "--reason-message=the pod stops",
        f"--deadline-remaining-seconds={int(seconds)}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotLeft(f"Ray does not let this node go: {(done.stderr or done.stdout).strip()}")
    while replicas := _replicas(raylet):
        if time.monotonic() > deadline:
            raise NotLeft(f"After {seconds:g} s there still are {', '.join(replicas)}.")
        time.sleep(POLL_SECONDS)


def _raylet(node_id: str) -> psutil.Process | None:
    for process in psutil.process_iter():
        try:
            if process.name() == "raylet" and f"{NODE_ID}{node_id}" in " ".join(process.cmdline()):
                return process
        except psutil.Error:
            continue
    return None


def _replicas(raylet: psutil.Process) -> list[str]:
    """Process titles of the node's replicas; none if the node itself has ended."""
    titles = []
    try:
        children = raylet.children()
    except psutil.NoSuchProcess:
        return []
    for child in children:
        try:
            titles.append(" ".join(child.cmdline()).strip())
        except psutil.NoSuchProcess:
            continue
    return [title for title in titles if title.startswith(REPLICA)]


def main(argv: Sequence[str] | None = None) -> int:
    """Drain the node; the exit status is 0 if nothing is lost by stopping it now."""
    parser = argparse.ArgumentParser(prog="leave_node", description=__doc__)
    parser.add_argument("--seconds", type=float, required=True, help="longest time to wait")
    parser.add_argument("--address", default=os.environ.get("RAY_ADDRESS"), help="HOST:PORT")
    parser.add_argument("--node-id", default="", help="default: the only node on this machine")
    options = parser.parse_args(argv)
    if not options.address:
        parser.error("name the Ray cluster with --address or RAY_ADDRESS")
    try:
        leave(options.seconds, options.address, options.node_id)
    except NotLeft as reason:
        sys.stderr.write(f"leave_node: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
