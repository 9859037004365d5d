"""The command as users type it: in a process of its own, from an empty folder."""

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from acestep_ray.cli import main
from acestep_ray.startup.doctor.checks import CHECKS
from acestep_ray.startup.doctor.command import doctor as run_doctor
from tests.redis_server import RedisServer
from tests.service import free_port
from tests.unit.startup.doctor.conftest import Doctor

KEY = "the key that nobody may see"
WEBHOOK_SECRET = f"whsec_{base64.b64encode(b'a secret of twenty-nine bytes').decode()}"
PASSWORD = "the password that nobody may see"


def run(
    folder: Path, *words: str, env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    foreign = re.compile("ACESTEP|RAY|.*_proxy", re.IGNORECASE)
    kept = {name: value for name, value in os.environ.items() if not foreign.match(name)}
    return subprocess.run(
        [sys.executable, "-m", "acestep_ray.cli", "doctor", *words],
        cwd=folder,
        env=kept | {"ACESTEP_API_KEY": KEY} | dict(env or {}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "an empty folder"
    folder.mkdir()
    return folder


def test_a_new_user_gets_a_table_and_keeps_an_empty_folder(empty: Path) -> None:
    done = run(empty, "--port", str(free_port()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].startswith("acestep-ray ") and lines[0].endswith("serve_config.yaml")
    assert [line for line in lines if line.startswith("ok       port")]
    assert lines[-1] == "All is well." or lines[-1].startswith("No problem, ")
    assert list(empty.iterdir()) == []


def test_all_that_is_wrong_is_in_one_document_in_time_and_no_secret_is(
    doctor: Doctor, empty: Path, tmp_path: Path
) -> None:
    """Also with a Redis that is stopped, an object store that never answers, and no torch."""
    blocker = tmp_path / "site" / "sitecustomize.py"
    blocker.parent.mkdir()
    names = ("torch", "diffusers", "transformers", "vllm", "safetensors", "tokenizers")
    blocker.write_text(f"import sys\nsys.modules |= dict.fromkeys({names})\n")
    path = os.pathsep.join(filter(None, [str(blocker.parent), os.environ.get("PYTHONPATH")]))
    redis = RedisServer(tmp_path / "redis", requirepass=PASSWORD)
    with redis as server, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server.pause()
        doctor.args |= {"decoder": "diffusers", "artifacts": "s3://songs"}
        settings = {
            "PYTHONPATH": path,
            "ACESTEP_STORE": server.url,
            "ACESTEP_STORE_PASSWORD": PASSWORD,
            "ACESTEP_LIMIT__QUEUE": "3",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": KEY,
        }
        doctor.args["webhooks"] = {"secret": WEBHOOK_SECRET}
        done = run(empty, str(doctor.write()), "--json", env=settings)
        server.resume()
    assert (done.returncode, done.stderr) == (1, "")
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["exit_status"] == 1 and document["config"] == str(doctor.file)
    found = {
        (result["check"], result["level"]): result["message"] for result in document["results"]
    }
    assert {name for name, _ in found} == {check.name for check in CHECKS}
    assert "ACESTEP_CHECKPOINTS is not set" in found["checkpoints", "problem"]
    assert "torch is not installed, which the engine" in found["libraries", "problem"]
    assert "does not answer" in found["job store", "problem"]
    # Which of the two, depends on how busy this machine is.
    waited = ("did not answer within", "cannot be reached")
    assert any(words in found["storage", "problem"] for words in waited)
    assert "ACESTEP_LIMIT__QUEUE is not a setting" in found["settings", "warning"]
    for secret in (KEY, PASSWORD, WEBHOOK_SECRET):
        assert secret not in done.stdout


@pytest.mark.parametrize("words", [["--port", "eight"], ["--jsno"], ["a", "b"]])
def test_wrong_usage_has_a_status_of_its_own(words: list[str]) -> None:
    assert main(["doctor", *words]) == 2


def test_a_config_that_is_not_there_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "nowhere.yaml"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "nowhere.yaml cannot be read" in printed.err


def test_a_reader_that_has_gone_is_no_error(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `acestep-ray doctor | head -1`."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        checks = [check for check in CHECKS if check.name == "access"]
        assert run_doctor(doctor.write(), checks=checks) == 0
