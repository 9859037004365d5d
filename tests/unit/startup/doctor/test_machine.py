"""Python, packages, limits and memory of this machine."""

import importlib.metadata
import os
import resource
from collections import namedtuple
from pathlib import Path

import pytest

from acestep_ray.startup.doctor import limits
from tests.unit.startup.doctor.conftest import Doctor

REQUIRES = [
    "ray[serve]==2.60.0",
    "numpy>=1.26",
    "acestep-nowhere>=1",
    'vllm==0.32.0; extra == "gpu"',
]


def test_this_python_has_everything(doctor: Doctor) -> None:
    assert "Python 3." in doctor.well("python")


def test_packages_that_are_missing_or_of_another_version_are_reported(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: REQUIRES)
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "2.61.0" if name == "ray" else version(name)
    )
    assert "the package acestep-nowhere is missing" in doctor.problem("python")
    assert "ray 2.61.0 is installed" in doctor.check("python")[0].message
    assert any("written for ray==2.60.0" in found.message for found in doctor.check("ray"))


def test_another_vllm_is_a_problem_because_the_planner_refuses_it(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    doctor.args |= {"planner": "vllm", "checkpoints": str(tmp_path)}
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: REQUIRES)
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "0.33.0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert "vllm 0.33.0 is installed, but this release is written" in doctor.problem("libraries")


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(
        resource, "getrlimit", lambda one: whole if one == resource.RLIMIT_AS else (256, 1024)
    )


@pytest.mark.usefixtures("files")
def test_few_open_files_are_a_warning_and_with_haproxy_a_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray raises the soft limit to the hard one, and not further."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "only 1024 open files are allowed" in doctor.warning("limits")
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    assert "HAProxy needs 11000 open files" in doctor.problem("limits")


def test_limited_addresses_are_a_warning(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    many = resource.RLIM_INFINITY
    monkeypatch.setattr(
        resource,
        "getrlimit",
        lambda one: (4e9, many) if one == resource.RLIMIT_AS else (many, many),
    )
    assert "each process may use 4.0 GB of addresses" in doctor.warning("limits")


@pytest.mark.usefixtures("files")
def test_few_processes_are_a_warning_for_those_whom_the_limit_binds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(limits, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert limits.most_tasks() == 256
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert limits.most_tasks() is None
    (tmp_path / "pids.max").write_text("100\n")
    assert limits.most_tasks() == 100
    (tmp_path / "pids.max").write_text("max\n")
    assert limits.most_tasks() is None


def test_a_container_has_no_more_memory_than_its_limit(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(limits, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("400000000\n")
    assert limits.memory() == (1_000_000_000, 600_000_000)
    assert "only 0.6 GB of memory are free" in doctor.warning("memory")
    (tmp_path / "memory.max").write_text("max\n")
    assert limits.memory()[0] > 1_000_000_000


Disk = namedtuple("Disk", ["f_bavail", "f_frsize"])


def test_docker_without_shm_size_is_a_warning(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: Disk(64 * 1024, 1024))
    assert "/dev/shm has only 67 MB free" in doctor.warning("memory")


def test_a_machine_without_shared_memory_is_a_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(limits, "SHARED_MEMORY", tmp_path / "nowhere")
    assert "which Ray needs, cannot be written" in doctor.problem("memory")
