"""Two engines on one GPU start one after another, whatever happens to the first."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acestep_ray.gpu_locks import gpu_start_lock
from tests.service import until

STARTER = textwrap.dedent("""
    import os, sys, time
    from pathlib import Path
    from acestep_ray.gpu_locks import gpu_start_lock
    folder, name, *GPUs = sys.argv[1:]
    (Path(folder) / f"{name}-came").touch()
    with gpu_start_lock(GPUs, Path(folder)):
        if name == "forks" and os.fork() == 0:
            time.sleep(600)  # as an engine's own process, which lives as long as the engine
        (Path(folder) / f"{name}-starts").touch()
        while not (Path(folder) / f"{name}-may-end").exists():
            time.sleep(0.01)
    (Path(folder) / f"{name}-ended").touch()
    sys.stdin.read()
""")


class Starter:
    """A process that starts an engine on GPUs."""

    def __init__(self, folder: Path, name: str, *gpus: str) -> None:
        self.folder, self.name = folder, name
        command = [sys.executable, "-c", STARTER, str(folder), name, *gpus]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def until(self, what: str) -> None:
        until(lambda: self.did(what), f"{self.name} {what}")

    def did(self, what: str) -> bool:
        return (self.folder / f"{self.name}-{what}").exists()

    def may_end(self) -> None:
        (self.folder / f"{self.name}-may-end").touch()

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


Start = Callable[..., Starter]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Starter] = []

    def start(name: str, *gpus: str) -> Starter:
        started.append(Starter(tmp_path, name, *gpus))
        return started[-1]

    yield start
    for starter in started:
        starter.stop()


def test_engines_on_one_gpu_start_one_after_another(start: Start) -> None:
    first = start("first", "0")
    first.until("starts")
    second = start("second", "1", "0")
    second.until("came")
    elsewhere = start("elsewhere", "2")  # came later, and does not wait
    elsewhere.until("starts")
    assert not second.did("starts")
    first.may_end()
    second.until("starts")
    assert first.process.poll() is None  # the engine still runs; only its start is over


def test_a_start_that_is_killed_lets_the_next_begin(start: Start) -> None:
    first = start("first", "0")
    first.until("starts")
    second = start("second", "0")
    second.until("came")
    first.stop()
    second.until("starts")


def test_processes_that_the_engine_has_forked_do_not_keep_the_gpu(start: Start) -> None:
    """They hold the same open file, and live as long as the engine."""
    first = start("forks", "0")
    first.until("starts")
    second = start("second", "0")
    second.until("came")
    first.may_end()
    second.until("starts")


def test_replicas_without_a_gpu_wait_for_nobody(tmp_path: Path) -> None:
    with gpu_start_lock([], tmp_path), gpu_start_lock([], tmp_path):
        assert list(tmp_path.iterdir()) == []
