"""The README's commands, exactly as printed, against port 8001, with both ways to start."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import soundfile

from tests.service import ROOT, descendants, until

URL = "http://127.0.0.1:8001"
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
CURL_BLOCKS = [block for block in BLOCKS if "curl" in block]
PYTHON_BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
RAY_GAVE_UP = "The current node timed out during startup"
"""Plain `serve run` on a busy machine: Ray gives its node 30 seconds, which no setting changes."""


def environment(home: Path) -> dict[str, str]:
    """A new user's environment: another home folder, no variable of this project or of Ray."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ACESTEP", "RAY"))}
    path = f"{Path(sys.executable).parent}:{kept['PATH']}"
    return kept | {"HOME": str(home), "ACESTEP_DATA": str(home / "data"), "PATH": path}


@contextmanager
def started(command: str, home: Path) -> Iterator[None]:
    """Run a start command until the service is ready, and end it with Ctrl-C."""
    log = home / "log"

    def start() -> subprocess.Popen[bytes]:
        with log.open("wb") as out:
            return subprocess.Popen(
                shlex.split(command),
                cwd=ROOT,
                env=environment(home),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    process = start()

    def ready() -> bool:
        nonlocal process
        if process.poll() is not None:
            assert RAY_GAVE_UP in log.read_text(), log.read_text()
            process = start()
        try:
            return httpx.get(f"{URL}/ready", timeout=60).status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(ready, f"{command} did not become ready")
        yield
    finally:
        left = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        try:
            until(lambda: process.poll() is not None, f"{command} did not end")
        finally:
            for pid in [process.pid, *left]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def type_in(block: str, folder: Path) -> str:
    """Type a block into a shell; return what it printed."""
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", block],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def finished(job_id: str) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = httpx.get(f"{URL}/v1/jobs/{job_id}?wait=20", timeout=120).json()
        return job if job["status"] in ("succeeded", "failed") else None

    job: dict[str, Any] = until(ended, f"job {job_id} did not end")
    return job


def every_curl_line_makes_a_song(folder: Path) -> None:
    jobs = []
    for block in CURL_BLOCKS:
        printed = type_in(block, folder)
        jobs += re.findall(r'"job_id": ?"([0-9a-f-]{36})"', printed)
    assert len(jobs) >= 6
    for job_id in jobs:
        job = finished(job_id)
        assert job["status"] == "succeeded", job
        for path in job["result"]["audio_paths"]:
            file = folder / "take.mp3"
            file.write_bytes(httpx.get(f"{URL}{path}").content)
            assert soundfile.info(file).samplerate == 48_000
    assert soundfile.info(folder / "song.mp3").duration == pytest.approx(20, abs=0.2)


def every_python_block_makes_a_song(folder: Path) -> None:
    assert PYTHON_BLOCKS
    for block in PYTHON_BLOCKS:
        done = subprocess.run(
            [sys.executable, "-c", block],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        files = re.findall(r"\S+\.mp3", done.stdout)
        assert files, done.stdout
        for file in files:
            assert soundfile.info(folder / file).duration == pytest.approx(20, abs=0.2)


def test_make_serve_and_the_lines_of_curl_and_python(tmp_path: Path) -> None:
    assert any(block.strip() == "make serve" for block in BLOCKS)
    with started("make serve", tmp_path):
        every_curl_line_makes_a_song(tmp_path)
        every_python_block_makes_a_song(tmp_path)
        # JSON without a header, as curl sends it.
        bare = """curl -s -X POST http://localhost:8001/v1/music/generate -d '{"caption": "x"}'"""
        assert finished(json.loads(type_in(bare, tmp_path))["job_id"])["status"] == "succeeded"
        # A second server on the same port is refused at once, and starts nothing.
        second = subprocess.run(
            ["make", "serve"],
            cwd=ROOT,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode != 0
        assert "port 8001" in second.stderr
        assert "starting Ray" not in second.stderr


def test_serve_run_by_hand_twice(tmp_path: Path) -> None:
    """Twice in one shell: what the first run leaves in the home folder must not stop the second."""
    with started("serve run serve_config.yaml", tmp_path):
        every_curl_line_makes_a_song(tmp_path)
        # A second one beside it would get half of its requests. It reports that and ends.
        shown = RAY_GAVE_UP
        while RAY_GAVE_UP in shown:
            second = subprocess.run(
                ["serve", "run", "serve_config.yaml"],
                cwd=ROOT,
                env=environment(tmp_path),
                capture_output=True,
                text=True,
                check=False,
            )
            shown = second.stdout + second.stderr
        assert "Port 8001 is already used" in shown
    with started("serve run serve_config.yaml", tmp_path):
        job_id = json.loads(type_in(CURL_BLOCKS[0], tmp_path))["job_id"]
        assert finished(job_id)["status"] == "succeeded"
