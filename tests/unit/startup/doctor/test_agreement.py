"""The doctor and the launcher never disagree: what prevents a start is a problem, word for word."""

import importlib.util
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from acestep_ray.cli import main
from acestep_ray.startup import launcher
from acestep_ray.startup.doctor.checks import CHECKS
from acestep_ray.startup.doctor.result import Level
from acestep_ray.startup.doctor.run import run_checks
from acestep_ray.startup.doctor.setup import read_setup
from acestep_ray.startup.refusals import REFUSALS
from tests.service import free_port
from tests.unit.replicas.checkpoint_files import write_upstream
from tests.unit.startup.doctor.conftest import Doctor

MACHINE = ("settings", "ray", "python", "limits", "memory", "ffmpeg", "gpu", "disks")
"""Checks that the launcher does not make, or another process for it."""


def use_port(doctor: Doctor) -> None:
    doctor.http["port"] = used_port()


def use_metrics_port(doctor: Doctor) -> None:
    doctor.args["metrics_port"] = used_port()


def used_port() -> int:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    LISTENERS.append(listener)
    return int(listener.getsockname()[1])


def listen_publicly(doctor: Doctor) -> None:
    doctor.http["host"] = "0.0.0.0"


def forget_redis(doctor: Doctor) -> None:
    doctor.args["store"] = f"redis://127.0.0.1:{free_port()}/0"


def write_text_for_database(doctor: Doctor) -> None:
    (doctor.folder / "data").mkdir()
    (doctor.folder / "data" / "jobs.sqlite").write_text("no database")


def name_read_only_storage(doctor: Doctor) -> None:
    doctor.args["artifacts"] = "file:///sys/acestep"


def leave_out_checkpoints(doctor: Doctor) -> None:
    doctor.args["decoder"] = "diffusers"


def cut_checkpoint(doctor: Doctor) -> None:
    folder = doctor.folder / "checkpoints"
    write_upstream(folder)
    os.truncate(folder / "acestep-v15-turbo" / "model.safetensors", 1000)
    doctor.args |= {"decoder": "diffusers", "checkpoints": str(folder)}


def leave_out_library(doctor: Doctor) -> None:
    write_upstream(doctor.folder / "checkpoints")
    doctor.args |= {"planner": "vllm", "checkpoints": str(doctor.folder / "checkpoints")}


def mistype_adapters(doctor: Doctor) -> None:
    doctor.args["adapters"] = str(doctor.folder / "adaptors")


LISTENERS: list[socket.socket] = []
WRONG: dict[Callable[[Doctor], None], str] = {
    leave_out_checkpoints: "refuse_missing_checkpoints",
    leave_out_library: "refuse_missing_libraries",
    cut_checkpoint: "refuse_damaged_checkpoints",
    mistype_adapters: "refuse_missing_adapters",
    name_read_only_storage: "refuse_unusable_storage",
    forget_redis: "refuse_unusable_store",
    write_text_for_database: "refuse_unusable_store",
    listen_publicly: "refuse_public_without_key",
    use_port: "refuse_used_port",
    use_metrics_port: "refuse_used_metrics_port",
}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One with every library but vLLM, whose launcher starts nothing."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "vllm" else found("json", *more),
    )
    monkeypatch.setattr(launcher, "mistakes", lambda _: [])
    monkeypatch.setattr(launcher, "keep_serving", lambda *_: 0)
    yield
    for listener in LISTENERS:
        listener.close()
    LISTENERS.clear()


def problems(doctor: Doctor) -> list[str]:
    checks = [check for check in CHECKS if check.name not in MACHINE]
    results = run_checks(read_setup(doctor.write()), checks)
    return [result.message for _, result in results if result.level is Level.PROBLEM]


def test_every_reason_not_to_start_is_tried_here() -> None:
    assert {refuse.__name__ for refuse in REFUSALS} == set(WRONG.values())


@pytest.mark.parametrize("make_wrong", WRONG, ids=lambda make_wrong: make_wrong.__name__)
def test_what_the_launcher_refuses_is_a_problem_in_the_same_words(
    doctor: Doctor, capsys: pytest.CaptureFixture[str], make_wrong: Callable[[Doctor], Any]
) -> None:
    make_wrong(doctor)
    found = problems(doctor)
    assert main(["serve", str(doctor.file)]) == 2
    refused = capsys.readouterr().err.splitlines()[-1].removeprefix("acestep-ray: ")
    assert found == [refused]


def test_without_a_problem_the_launcher_starts(doctor: Doctor) -> None:
    assert problems(doctor) == []
    assert main(["serve", str(doctor.file)]) == 0
