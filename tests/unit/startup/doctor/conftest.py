"""One check of the doctor on a machine where one thing was really made wrong."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from acestep_ray.startup.doctor.checks import CHECKS
from acestep_ray.startup.doctor.result import Level, Result
from acestep_ray.startup.doctor.run import run_checks
from acestep_ray.startup.doctor.setup import read_setup
from tests.service import free_port


class Doctor:
    """The doctor on a config in ``folder``, whose parts a test changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "config.yaml"
        self.http: dict[str, Any] = {"host": "127.0.0.1", "port": free_port()}
        self.args: dict[str, Any] = {"planner": "mock", "decoder": "mock"}
        self.deployments: list[dict[str, Any]] = []

    def write(self) -> Path:
        """Write the config."""
        application = {
            "name": "acestep",
            "route_prefix": "/",
            "import_path": "deployments.app:build",
            "args": self.args,
            "deployments": self.deployments,
        }
        document = {"http_options": self.http, "applications": [application]}
        self.file.write_text(yaml.safe_dump(document))
        return self.file

    def check(self, name: str) -> list[Result]:
        """The results of one check."""
        setup = read_setup(self.write())
        return [found for _, found in run_checks(setup, [c for c in CHECKS if c.name == name])]

    def one(self, name: str, level: Level, without: Level | None = None) -> str:
        """The only message of that level of one check, which has none of the level ``without``."""
        found = self.check(name)
        assert without not in {result.level for result in found}, found
        messages = [result.message for result in found if result.level is level]
        assert len(messages) == 1, found
        assert "\n" not in messages[0]
        return messages[0]

    def problem(self, name: str) -> str:
        """The only problem that a check finds."""
        return self.one(name, Level.PROBLEM)

    def warning(self, name: str) -> str:
        """The only warning of a check that finds no problem."""
        return self.one(name, Level.WARNING, without=Level.PROBLEM)

    def well(self, name: str) -> str:
        """The message of a check that finds nothing wrong."""
        (found,) = self.check(name)
        assert found.level is Level.OK, found
        return found.message


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """A new user's: no variable of this project or of Ray is set, and the data folder is new."""
    for name in os.environ:
        if name.startswith(("ACESTEP_", "RAY_", "CUDA_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ACESTEP_DATA", str(tmp_path / "data"))
    return Doctor(tmp_path)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a shell script as a program that is found before all others of its name."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(name: str, script: str) -> Path:
        file = folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return file

    return write
