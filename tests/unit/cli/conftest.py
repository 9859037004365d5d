"""A service with mock engines on loopback, and the command line that talks to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.one_process import OneProcess, one_process
from tests.unit.cli.commands import CommandLine


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    with one_process(data=tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def slow_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    """Each step takes a second: its jobs are at work while something happens to the command."""
    folder = tmp_path_factory.mktemp("slow_service")
    with one_process(data=folder, mock={"step_seconds": 1.0}) as service:
        yield service


@pytest.fixture
def cli(service: OneProcess, tmp_path: Path) -> CommandLine:
    return CommandLine(service.url, tmp_path)


@pytest.fixture
def slow_cli(slow_service: OneProcess, tmp_path: Path) -> CommandLine:
    return CommandLine(slow_service.url, tmp_path)
