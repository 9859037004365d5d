"""Ray's variables, and what nodes that ended have left."""

import socket
import subprocess
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from acestep_ray.startup.doctor import ray_check
from acestep_ray.startup.doctor.result import Level
from tests.service import command_line, free_port, until
from tests.unit.startup.doctor.conftest import Doctor


@contextmanager
def running(title: str, program: str = "sleep") -> Iterator[int]:
    """A process with this title, and its id."""
    process = subprocess.Popen(["bash", "-c", f"exec -a '{title}' {program} 600"])
    try:
        until(lambda: command_line(process.pid).startswith(title), "bash did not start it")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def warnings(doctor: Doctor) -> list[str]:
    found = doctor.check("ray")
    assert Level.PROBLEM not in {result.level for result in found}
    return [result.message for result in found if result.level is Level.WARNING]


def test_workers_of_a_dead_node_are_named(doctor: Doctor) -> None:
    """They hold the GPU's memory that the next start needs."""
    with running("ray::ServeReplica:acestep:Decoder") as worker:
        (warning,) = [one for one in warnings(doctor) if "has died" in one]
        words = warning.removesuffix(".").split()
        assert str(worker) in words[words.index("-9") :]


def test_another_node_is_named(doctor: Doctor, tmp_path: Path) -> None:
    raylet = tmp_path / "raylet"
    raylet.symlink_to("/usr/bin/sleep")
    with running(str(raylet), str(raylet)):
        (warning,) = [one for one in warnings(doctor) if "other Ray nodes" in one]
    assert "ray stop" in warning


def test_an_address_that_leads_nowhere_is_reported(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "ray_current_cluster"
    file.write_text(f"127.0.0.1:{free_port()}")
    monkeypatch.setattr(ray_check, "CURRENT_CLUSTER", file)
    assert any(f"{file} names a Ray cluster that does not answer" in w for w in warnings(doctor))


Address = namedtuple("Address", ["family", "address"])


def test_ports_that_ask_for_no_token_are_a_warning(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray listens on all addresses, whatever http_options.host is."""
    inside = Address(socket.AF_INET, "127.0.0.1")
    outside = Address(socket.AF_INET, "192.0.2.7")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"lo": [inside], "eth0": [outside]})
    (warning,) = [one for one in warnings(doctor) if "192.0.2.7" in one]
    assert "set RAY_AUTH_MODE=token" in warning
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"lo": [inside]})
    assert not any("ask for no token" in one for one in warnings(doctor))
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"eth0": [outside]})
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")
    assert not any("ask for no token" in one for one in warnings(doctor))


def test_a_misspelt_mode_is_a_warning_because_it_asks_for_no_token(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "tokn")
    assert any("RAY_AUTH_MODE is none of disabled, token" in one for one in warnings(doctor))


def test_a_mode_without_its_token_is_a_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    assert f"there is no token in {file}" in doctor.problem("ray")
    file.write_text("")
    assert f"there is no token in {file}" in doctor.problem("ray")
    file.write_text("a token")
    assert not any("token" in one for one in warnings(doctor))
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.setenv("HOME", "/sys")
    assert "and Ray cannot write one" in doctor.problem("ray")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")
    assert not any("token" in one for one in warnings(doctor))
