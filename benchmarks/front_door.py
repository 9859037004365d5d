"""How many polls and submits a second the service answers, beside a server that does nothing else.

The first baseline (in_memory_server.py) is one FastAPI process that keeps jobs in memory; the
second (bare_serve_server.py) is a Serve application that does nothing, behind the same proxy. The
service has one ingress replica, and each job is on disk before its submit is answered. All are
asked in turns, within one run, at 1, 16 and 64 connections, through HAProxy and through Serve's own
proxy. ``wrk`` (a Debian package) asks. It runs on the same machine, as do all processes of the
service.

    python -m benchmarks.front_door
    python -m benchmarks.front_door --seconds 2 --turns 1
"""

import argparse
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.service import PROXIES, figure, free_port, is_ready, service

CONNECTIONS = (1, 16, 64)
SONG = {"caption": "pop", "audio_duration": 10, "batch_size": 1}
SUBMIT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{"caption": "pop", "audio_duration": 10, "batch_size": 1}]]
"""
ENDLESS = {"ACESTEP_MOCK__STEP_SECONDS": "60", "ACESTEP_LIMITS__QUEUE": "1000000"}
"""The first jobs run for eight minutes, and all others wait."""
MS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Turn:
    """``rate``: responses a second. ``p50``: milliseconds. ``wrong``: errors."""

    rate: float
    p50: float
    wrong: int


def ask(url: str, connections: int, seconds: float, script: Path | None) -> Turn:
    """Ask one address for so long; ``script``: of wrk, for what is no GET."""
    command = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds:g}s", "--latency", url]
    command += ["--timeout", "30s"]
    if script:
        command += ["-s", str(script)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
    assert rate and p50, said
    wrong = [int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", said)]
    for errors in re.findall(r"Socket errors: (.*)", said):
        wrong += [int(number) for number in re.findall(r"\d+", errors)]
    return Turn(float(rate[1]), float(p50[1]) * MS[p50[2]], sum(wrong))


@contextmanager
def in_memory() -> Iterator[str]:
    """The baseline; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "benchmarks.in_memory_server:app"]
    process = subprocess.Popen([*command, "--port", str(port), "--log-level", "warning"])
    try:
        while not is_ready(url):
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def poll_address(url: str) -> str:
    """Of a job that has not ended."""
    return f"{url}/v1/jobs/{httpx.post(f'{url}/v1/music/generate', json=SONG).json()['job_id']}"


@contextmanager
def bare_serve(environment: Mapping[str, str], folder: Path) -> Iterator[str]:
    """The Serve application that does nothing; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = folder / "bare.yaml"
    config.write_text(
        f"http_options: {{host: 127.0.0.1, port: {port}}}\n"
        "applications: [{name: bare, route_prefix: /, "
        "import_path: 'benchmarks.bare_serve_server:application'}]\n"
    )
    command = [sys.executable, "-m", "deployments.serve_run", "--no-dashboard", str(config)]
    variables = {"RAY_AUTH_MODE": "disabled", **environment}
    process = subprocess.Popen(command, env={**os.environ, **variables})
    try:
        while not is_ready(url):
            if process.poll() is not None:
                raise SystemExit("the bare application did not start")
            time.sleep(0.2)
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def compare(row: str, ours: str, memory: str, options: argparse.Namespace, script: Path) -> None:
    """Print rows, for polls and submits and each number of connections: ``ours`` beside the server
    that keeps jobs in memory."""
    for what in ("poll", "submit"):
        for connections in options.connections:
            turns: dict[str, list[Turn]] = {ours: [], memory: []}
            for _ in range(options.turns):
                for url in (memory, ours):
                    poll = what == "poll"
                    address = poll_address(url) if poll else f"{url}/v1/music/generate"
                    turns[url].append(
                        ask(address, connections, options.seconds, None if poll else script)
                    )
            rates = {url: statistics.median(t.rate for t in turns[url]) for url in turns}
            p50 = {url: statistics.median(t.p50 for t in turns[url]) for url in turns}
            wrong = sum(turn.wrong for turn in turns[ours])
            if wrong:
                raise SystemExit(f"{wrong} requests failed, so the figures mean nothing.")
            note(row, what, connections, rates[ours] / rates[memory], p50[ours])
            print(
                f"{row:<24} {what:<7} {connections:>11} {rates[ours]:>8.0f} {rates[memory]:>9.0f}"
                f" {rates[ours] / rates[memory]:>6.2f} {p50[ours]:>8.1f} {p50[memory]:>10.1f}"
                f"  load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


AIMS = {("poll", "HAProxy"): 0.5, ("poll", "Serve's proxy"): 0.1, ("submit", "HAProxy"): 0.2}
"""Ratios to the server that keeps jobs in memory, at 16 and 64 connections."""
ALONE = {"poll": 3, "submit": 8}
"""Milliseconds of one request at a time through HAProxy, at most."""


def note(row: str, what: str, connections: int, ratio: float, p50: float) -> None:
    """Add what a user wants to know to the page of results."""
    proxy = row.partition(",")[0]
    beside = "an in-memory FastAPI server"
    if connections > 1:
        least = AIMS.get((what, proxy)) if "service" in row else None
        figure(
            f"{what}s, {row}, {connections} connections",
            f"{ratio:.2f}",
            beside,
            f"at least {least}" if least else "",
        )
    elif "service" in row:
        aim = f"under {ALONE[what]} ms" if proxy == "HAProxy" else ""
        figure(f"one {what} alone, {proxy}, median", f"{p50:.1f} ms", aim=aim)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="of one turn")
    parser.add_argument("--turns", type=int, default=3, help="per side and number of connections")
    parser.add_argument("--connections", type=int, nargs="+", default=CONNECTIONS)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("This benchmark needs wrk: sudo apt-get install wrk")
    print("                                         responses/s                 p50 ms")
    print(
        "through, to              request connections     this in memory  ratio     this  in memory"
    )
    with tempfile.TemporaryDirectory() as name, in_memory() as memory:
        folder = Path(name)
        script = folder / "submit.lua"
        script.write_text(SUBMIT)
        for proxy, environment in PROXIES.items():
            with service({**ENDLESS, **environment}) as (ours, _):
                compare(f"{proxy}, the service", ours, memory, options, script)
            # Not at the same time: two HAProxies of a machine would need other ports.
            with bare_serve(environment, folder) as bare:
                compare(f"{proxy}, bare Serve", bare, memory, options, script)


if __name__ == "__main__":
    main()
