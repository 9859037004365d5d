"""Refuses to share the HTTP port with another server.

Serve's proxy sets SO_REUSEPORT, so a second server on a port starts without an error and takes half
of the first one's requests. ``acestep-ray serve`` checks before it starts Ray. With the bare
command ``serve run`` that is not possible, so the application checks when it is built.
"""

import logging
import os
import signal
import time
from pathlib import Path

import psutil

from acestep_ray.errors import ConfigurationError

logger = logging.getLogger(__name__)

PROXY = "ray::ProxyActor"
WAIT_SECONDS = 5.0
"""Longest wait for the proxy of this node, seconds; some nodes have none."""


class PortConflict(ConfigurationError):
    """Another program listens on the port of Serve's proxy."""


def refuse_shared_port() -> None:
    """Raise PortConflict if another program listens on the port of this node's proxy.

    Does nothing outside a Ray worker (in tests the driver builds the application). If a ``serve
    run`` started this Ray, it gets SIGINT, or SIGTERM if it ignores that: otherwise it would
    continue to take requests from the other program.
    """
    raylet = psutil.Process(os.getppid())
    if "raylet" not in raylet.name():
        return
    conflict = _conflict(raylet)
    if conflict is None:
        return
    port, other = conflict
    message = (
        f"Port {port} is already used by process {other}, and two servers would share it in "
        "silence; stop that one, or set another port in http_options."
    )
    driver = raylet.parent()
    if driver is not None and {"serve", "run"} <= {
        os.path.basename(argument)  # noqa: PTH119 - arguments of a command, not paths
        for argument in driver.cmdline()
    }:
        logger.error(message)
        driver.send_signal(signal.SIGTERM if _ignores_sigint(driver.pid) else signal.SIGINT)
    raise PortConflict(message)


def _conflict(raylet: psutil.Process) -> tuple[int, int] | None:
    """A port of this node's proxy, and the id of a foreign process that listens on it too."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        of_node = {raylet.pid} | {child.pid for child in raylet.children(recursive=True)}
        proxies = {pid for pid in of_node if _title(pid).startswith(PROXY)}
        listening = [
            (entry.laddr.port, entry.pid)
            for entry in psutil.net_connections("tcp")
            if entry.status == psutil.CONN_LISTEN and entry.pid is not None and entry.laddr
        ]
        ports = {port for port, pid in listening if pid in proxies}
        if ports:
            return next((e for e in listening if e[0] in ports and e[1] not in of_node), None)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)


def _ignores_sigint(pid: int) -> bool:
    """Whether a process ignores SIGINT, as those that a script starts in the background do."""
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = next(line for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(int(ignored.split()[1], 16) & 1 << (signal.SIGINT - 1))


def _title(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return ""
