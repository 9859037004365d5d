"""Ray: its version and its variables, and what is left of nodes that ended."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from acestep_ray.startup.checks import is_loopback
from acestep_ray.startup.doctor.folders import existing, why_unwritable
from acestep_ray.startup.doctor.interpreter import RAY, installed, requirements, wrong_version
from acestep_ray.startup.doctor.result import Result, ok, problem, warning
from acestep_ray.startup.doctor.setup import Setup
from acestep_ray.startup.launcher import environment
from acestep_ray.startup.process_tree import lives

AUTH_MODES = ("disabled", "token")
CURRENT_CLUSTER = Path("/tmp/ray/ray_current_cluster")
"""Where Ray's own commands find the address of the cluster on this machine."""
WORKER = "ray::"
RAYLET = "raylet"
CONNECT_SECONDS = 2.0
MOST_NAMED = 5


def check_ray(setup: Setup) -> Iterator[Result]:
    """See Check."""
    version = installed(RAY)
    if version is None:
        yield problem("Ray is not installed; install acestep-ray again (in a clone: make serve).")
        return
    for needed in requirements():
        if needed.name == RAY and not needed.specifier.contains(version, prereleases=True):
            yield warning(wrong_version(needed, version))
    yield from _authentication()
    yield from _open_ports()
    yield from _left_over()
    yield from _other_nodes(setup)
    yield from _stale_address()
    mode = os.environ.get("RAY_AUTH_MODE") or "disabled, which `acestep-ray serve` sets"
    yield ok(f"Ray {version}; RAY_AUTH_MODE is {mode}")


def _authentication() -> Iterator[Result]:
    mode = os.environ.get("RAY_AUTH_MODE")
    if mode is None:
        return
    if mode.lower() not in AUTH_MODES:
        yield warning(
            f"RAY_AUTH_MODE is none of {', '.join(AUTH_MODES)}, and Ray takes it for disabled, so "
            "that it asks for no token: correct it, or unset it."
        )
    if mode.lower() != "token" or os.environ.get("RAY_AUTH_TOKEN"):
        return
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named) if named else Path.home() / ".ray" / "auth_token"
    if file.exists() and not os.access(file, os.R_OK):
        yield problem(f"{file}, Ray's token, cannot be read: let this user read it.")
    elif named and not (file.exists() and file.stat().st_size):
        yield problem(
            f"RAY_AUTH_MODE=token, but there is no token in {file}: write one there, or unset "
            "RAY_AUTH_TOKEN_PATH."
        )
    elif not file.exists() and why_unwritable(existing(file.parent)):
        yield problem(
            f"RAY_AUTH_MODE=token, but there is no token in {file}, and Ray cannot write one: let "
            "this user write there, or unset RAY_AUTH_MODE."
        )


def _open_ports() -> Iterator[Result]:
    """Ray listens on every address of its node, and calls that reach it may hold any code."""
    if environment()["RAY_AUTH_MODE"].lower() == "token":
        return
    addresses = [
        address.address
        for name in psutil.net_if_addrs().values()
        for address in name
        if address.family == socket.AF_INET and not is_loopback(address.address)
    ]
    if addresses:
        yield warning(
            f"Ray's ports are open on {', '.join(addresses)} and ask for no token, so that whoever "
            "reaches them can run programs here: set RAY_AUTH_MODE=token, or close them with a "
            "firewall."
        )


def _left_over() -> Iterator[Result]:
    """Workers whose raylet has died: they end by themselves, unless they hang."""
    orphans = [one for one in _titled(WORKER) if not _has_raylet(one)]
    if not orphans:
        return
    ids = " ".join(str(process.pid) for process in orphans)
    yield warning(
        f"{len(orphans)} processes of a Ray node that has died still run and may hold memory and "
        f"GPUs: end them with kill -9 {ids}."
    )


def _other_nodes(setup: Setup) -> Iterator[Result]:
    raylets = [process.pid for process in psutil.process_iter() if _name(process) == RAYLET]
    others = len(raylets) - (1 if setup.service is not None else 0)
    if others <= 0:
        return
    ids = ", ".join(map(str, raylets[:MOST_NAMED]))
    yield warning(
        f"other Ray nodes run on this machine (raylet {ids}), and each counts its memory and GPUs "
        "as its own: stop those that are not needed (ray stop)."
    )


def _stale_address() -> Iterator[Result]:
    try:
        host, _, port = CURRENT_CLUSTER.read_text().strip().rpartition(":")
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (FileNotFoundError, PermissionError, ValueError):
        return
    except OSError:
        yield warning(
            f"{CURRENT_CLUSTER} names a Ray cluster that does not answer; it misleads `serve run` "
            "and Ray's other commands, but not `acestep-ray serve`: delete it, or ray stop --force."
        )


def _titled(start: str) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _title(process).startswith(start)]


def _has_raylet(process: psutil.Process) -> bool:
    try:
        return any(_name(parent) == RAYLET for parent in process.parents())
    except psutil.Error:
        return True  # it has just ended


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) if lives(process) else ""
    except psutil.Error:
        return ""


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""
