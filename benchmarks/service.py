"""A service of its own for a benchmark, what it costs, and the figures for the page of results."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

PROXIES = {"Serve's proxy": {}, "HAProxy": {"RAY_SERVE_ENABLE_HA_PROXY": "1"}}
CONFIG = Path(__file__).parent.parent / "serve_config.yaml"
FIGURES = "ACESTEP_FIGURES"
"""Variable with the file to which figures for the page of results (benchmarks/__main__.py) are
added."""
PARTS = {
    "Ingress": "ingress replicas",
    "JobStoreActor": "job store actor",
    "haproxy": "HAProxy",
    "HAProxyManager": "HAProxy's manager",
    "ProxyActor": "Serve's proxy actor",
}
"""What is in the command line of a process, and what it is."""


def figure(what: str, value: str, beside: str = "", aim: str = "") -> None:
    """Add a figure to the page of results, if one is being made. ``beside``: what it was measured
    beside, in the same run. ``aim``: what it should be."""
    if file := os.environ.get(FIGURES):
        row = {"what": what, "value": value, "beside": beside, "aim": aim}
        with Path(file).open("a") as opened:
            opened.write(json.dumps(row) + "\n")


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def service(
    environment: Mapping[str, str], ingress_replicas: int = 1
) -> Iterator[tuple[str, psutil.Process]]:
    """A separate service; yields its address and its first process."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = Path(sys.executable).with_name("acestep-ray")
    with tempfile.TemporaryDirectory() as folder:
        variables = {"ACESTEP_DATA": f"{folder}/data", "ACESTEP_LIMITS__QUEUE": "10000"}
        config = Path(folder) / "serve_config.yaml"
        config.write_text(yaml.safe_dump(_config(ingress_replicas)))
        process = subprocess.Popen(
            [program, "serve", "--port", str(port), str(config)],
            env={**os.environ, **variables, **environment},
        )
        try:
            while not is_ready(url):
                if process.poll() is not None:
                    raise SystemExit("the service did not start")
                time.sleep(0.2)
            yield url, psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _config(ingress_replicas: int) -> dict[str, Any]:
    """That of the mock engines, with so many ingress replicas."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text())
    for deployment in config["applications"][0]["deployments"]:
        if deployment["name"] == "Ingress":
            deployment["num_replicas"] = ingress_replicas
    return config


def is_ready(url: str) -> bool:
    """Whether it accepts songs."""
    try:
        return httpx.get(f"{url}/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def memory(process: psutil.Process) -> float:
    """Proportional share of all processes of the service, MB."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6


def processor_seconds(process: psutil.Process) -> float:
    """User and system time of all processes of the service, seconds."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def processor_seconds_by_part(process: psutil.Process) -> dict[str, float]:
    """The same, by what the processes are (PARTS)."""
    found: dict[str, float] = defaultdict(float)
    for one in (process, *process.children(recursive=True)):
        try:
            line, times = " ".join(one.cmdline()), one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        part = next((name for sign, name in PARTS.items() if sign in line), "others")
        found[part] += times.user + times.system
    return found
