"""Refuses to share the HTTP port with another server.

Serve's proxy sets SO_REUSEPORT, so that a second server on a port starts without a word and takes
half of the first one's requests. ``acestep-ray serve`` looks before it starts Ray; the bare command
``serve run`` gives us no such moment, so the application looks when it is built.
"""

import logging
import os
import signal
import time

import psutil

logger = logging.getLogger(__name__)

PROXY = "ray::ProxyActor"
WAIT_SECONDS = 5.0
"""How long the proxy of this node is waited for; a node may well have none."""


class PortShared(RuntimeError):
    """Somebody else listens where our proxy does."""


def refuse_shared_port() -> None:
    """Raise PortShared when the proxy of this node has company on its port.

    Does nothing outside a Ray worker (in tests the driver builds the application). A ``serve run``
    that started this Ray is told to stop: it would go on taking requests away from the other.
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
        os.path.basename(word)  # noqa: PTH119 - words of a command line, not paths
        for word in driver.cmdline()
    }:
        logger.error(message)
        driver.send_signal(signal.SIGINT)
    raise PortShared(message)


def _conflict(raylet: psutil.Process) -> tuple[int, int] | None:
    """A port of our proxy and a process of somebody else's that listens on it too."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        ours = {raylet.pid} | {child.pid for child in raylet.children(recursive=True)}
        proxies = {pid for pid in ours if _title(pid).startswith(PROXY)}
        listening = [
            (entry.laddr.port, entry.pid)
            for entry in psutil.net_connections("tcp")
            if entry.status == psutil.CONN_LISTEN and entry.pid is not None and entry.laddr
        ]
        ports = {port for port, pid in listening if pid in proxies}
        if ports:
            return next((e for e in listening if e[0] in ports and e[1] not in ours), None)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.1)


def _title(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.NoSuchProcess:
        return ""
