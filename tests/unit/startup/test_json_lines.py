"""With ``logs.format`` json, every line that the terminal shows is a JSON object."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from acestep_ray.cli import main
from acestep_ray.startup import launcher, terminal
from acestep_ray.startup.json_lines import JsonLines
from acestep_ray.startup.log_filter import LaunchLog
from acestep_ray.startup.ray_node import RayNode
from acestep_ray.startup.terminal import show_json, show_line
from tests.service import ROOT, free_port

OWN = '{"time": "2026-11-27T08:00:00.000Z", "level": "%s", "message": "The job %s.", "job_id": "j"}'
RUNNER = "\x1b[36m(ServeReplica:acestep:Runner pid=7)\x1b[0m "
CONTROLLER = "(ServeController pid=8, ip=10.0.0.2) "


@pytest.fixture(autouse=True)
def text_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal._Form, "json", False)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    show_json()
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_of_the_services_own_is_left_as_it_is() -> None:
    line = OWN % ("INFO", "runs")
    assert JsonLines().convert(f"{RUNNER}{line}\n") == f"{line}\n"


@pytest.mark.parametrize(
    ("line", "process", "level", "message"),
    [
        (f"{CONTROLLER}WARNING 2026 controller 8 -- slow\n", "ServeController pid=8, ip=10.0.0.2",
         "WARNING", "WARNING 2026 controller 8 -- slow"),
        ("2026-11-27 08:00:00,000\tINFO worker.py:1 -- up\n", "acestep-ray", "INFO",
         "2026-11-27 08:00:00,000\tINFO worker.py:1 -- up"),
        ("(raylet) a \"quoted\" line\n", "raylet", "INFO", 'a "quoted" line'),
        (f"{RUNNER}{OWN[:40]}\n", "ServeReplica:acestep:Runner pid=7", "INFO", OWN[:40]),
        ("SUCC 2026 serve 1 -- done\n", "acestep-ray", "INFO", "SUCC 2026 serve 1 -- done"),
    ],
)  # fmt: skip
def test_any_other_line_becomes_the_message_of_one(
    line: str, process: str, level: str, message: str
) -> None:
    found = json.loads(JsonLines().convert(line))
    assert (found["process"], found["level"], found["message"]) == (process, level, message)
    assert found["time"].endswith("Z") and found["logger"] == "ray"


def test_lines_of_a_traceback_have_the_level_of_the_line_before_them() -> None:
    lines = JsonLines()
    texts = ("ERROR 2026 controller 8 -- Exception\n", "Traceback (most recent call last):\n")
    found = [json.loads(lines.convert(f"{CONTROLLER}{text}")) for text in texts]
    other = json.loads(lines.convert("(raylet) something\n"))
    assert [one["level"] for one in (*found, other)] == ["ERROR", "ERROR", "INFO"]


def test_empty_lines_are_left_out() -> None:
    assert [JsonLines().convert(line) for line in ("\n", f"{RUNNER}\n", "")] == [""] * 3


def test_lines_below_warning_are_shown_only_with_verbose(shown: Any) -> None:
    lines = [f"{RUNNER}{OWN % (level, 'is an INFO')}\n" for level in ("INFO", "WARNING")]
    LaunchLog(verbose=False).read([*lines, "INFO 2026 serve 1 -- fine\n", "\n"])
    assert [line["level"] for line in shown()] == ["WARNING"]
    LaunchLog(verbose=True).read([*lines, "INFO 2026 serve 1 -- fine\n", "\n"])
    assert [line["level"] for line in shown()] == ["INFO", "WARNING", "INFO"]


def test_a_fault_is_still_found(shown: Any) -> None:
    log = LaunchLog(verbose=False)
    log.read(
        [
            f"{CONTROLLER}ERROR controller 8 -- Exception in Replica\n",
            f"{CONTROLLER}acestep_ray.errors.SettingError: the cause and the cure.\n",
        ]
    )
    assert log.faults == ["the cause and the cure."] and log.failed.is_set()
    shown()


def test_a_line_of_a_job_is_no_fault(shown: Any) -> None:
    log = LaunchLog(verbose=False)
    log.read([f"{RUNNER}{OWN % ('WARNING', 'had a SettingError: x, DEPLOY_FAILED')}\n"])
    assert log.faults == [] and not log.failed.is_set()
    assert len(shown()) == 1


def test_the_launchers_own_lines_are_objects_too(shown: Any) -> None:
    show_line("starting Ray …")
    (line,) = shown()
    assert line["message"] == "starting Ray …" and line["process"] == "acestep-ray"


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_setting_chooses_the_form_of_serves_files_and_of_refusals(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    documents: list[Any] = []

    def keep_serving(new_node: Any, *rest: object) -> int:
        documents.append(new_node()._document)
        return 0

    monkeypatch.setattr(launcher, "keep_serving", keep_serving)
    monkeypatch.setattr(launcher, "RayNode", RayNode)
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    config["applications"][0]["args"]["logs"] = {"format": form}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    assert main(["serve", str(file), "--port", str(free_port())]) == 0
    assert documents[0]["logging_config"].get("encoding") == ("JSON" if form == "json" else None)
    capsys.readouterr()
    assert main(["serve", str(file), "--port", "0"]) == 2
    refusal = capsys.readouterr().err
    if form == "json":
        assert json.loads(refusal)["level"] == "ERROR"
    else:
        assert refusal.startswith("acestep-ray: port 0")
