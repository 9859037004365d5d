"""A refused request leaves nothing behind, and its error names the field and the legal values."""

import io
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from tests.service import Service


def files_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def nothing_is_left_behind(service: Service) -> Iterator[None]:
    artifacts = service.data / "artifacts"
    before = files_under(artifacts)
    jobs = service.http.get("/v1/stats").json()
    yield
    assert files_under(artifacts) == before
    after = service.http.get("/v1/stats").json()
    counts = ("queued", "running", "succeeded", "failed")
    assert [after[c] for c in counts] == [jobs[c] for c in counts]


def refused(answer: httpx.Response, *fields: str) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    problem: dict[str, Any] = answer.json()
    assert [entry["field"] for entry in problem.get("errors", [])] == list(fields)
    return problem


def wav(seconds: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((int(8000 * seconds), 1)), 8000, format="WAV")
    return buffer.getvalue()


def test_a_caption_of_two_megabytes(service: Service) -> None:
    answer = service.http.post("/v1/music/generate", json={"caption": "x" * 2_000_000})
    assert answer.status_code == 413


@pytest.mark.parametrize("headers", [[], ["-H", "Expect:", "-H", "Transfer-Encoding: chunked"]])
def test_an_upload_of_three_hundred_megabytes(
    service: Service, tmp_path: Path, headers: list[str]
) -> None:
    """With a Content-Length, and without: then it is counted while it is read."""
    file = tmp_path / "big.wav"
    with file.open("wb") as big:
        big.truncate(300_000_000)
    command = ["curl", "-s", "-F", f"src_audio=@{file}", *headers, "-w", "%{stderr}%{http_code}"]
    done = subprocess.run(
        [*command, f"{service.url}/v1/music/generate"], capture_output=True, text=True, check=False
    )
    assert done.stderr == "413"
    assert "100,000,000 bytes" in done.stdout


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("song.mp3", b"this is a text, not a song\n" * 100),
        ("empty.wav", b""),
        ("no_samples.wav", wav(0)),
        ("truncated.wav", wav(2)[:8000]),
        ("too_long.wav", wav(601)),
        ("riff.wav", struct.pack("<4sI4s", b"RIFF", 4, b"WAVE")),
    ],
)
def test_uploads_that_are_no_song(service: Service, name: str, content: bytes) -> None:
    answer = service.http.post(
        "/v1/music/generate",
        data={"task_type": "cover"},
        files={"src_audio": (name, content)},
    )
    refused(answer, "src_audio")


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/dev/zero", "../../etc/passwd", "relative.wav", "/nowhere/at/all.wav"]
)
def test_paths_that_are_not_allowed(service: Service, path: str) -> None:
    answer = service.http.post(
        "/v1/music/generate", json={"task_type": "repaint", "src_audio_path": path}
    )
    problem = refused(answer, "src_audio_path")
    assert str(service.data) not in answer.text
    assert problem["code"] == "invalid_audio"


def test_a_link_out_of_the_allowed_folder(service: Service) -> None:
    inputs = service.data / "inputs"
    inputs.mkdir(exist_ok=True)
    link = inputs / "link.wav"
    link.unlink(missing_ok=True)
    link.symlink_to("/dev/zero")
    answer = service.http.post(
        "/v1/music/generate", json={"task_type": "repaint", "src_audio_path": str(link)}
    )
    refused(answer, "src_audio_path")


def test_many_bad_values_are_all_named(service: Service) -> None:
    answer = service.http.post(
        "/v1/music/generate",
        data={"bpm": "fast", "seed": "-2", "audio_format": "wma", "use_5hz_lm": "maybe"},
    )
    problem = refused(answer, "audio_format", "bpm", "seed", "use_5hz_lm")
    assert all(entry["legal"] in entry["detail"] for entry in problem["errors"])
    assert problem["code"] == "invalid_value"
