"""Ray's variables, and what nodes that ended have left."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RAY_AUTH_MODE": "tokn"}, "RAY_AUTH_MODE is none of disabled, token"),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/nowhere/token"},
            "there is no token in /nowhere/token",
        ),
    ],
)
def test_a_mode_without_its_token_is_a_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert message in doctor.problem("ray")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a token")
    if variables["RAY_AUTH_MODE"] == "token":
        assert warnings(doctor) is not None
