"""Audio as people and programs write it, sent to a running service: what the client gets back, and
that it leads to a song."""

import io
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.service import Service


def wav(seconds: float = 3.0) -> bytes:
    """Mono, 24 kHz, as speech services write it."""
    buffer = io.BytesIO()
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(int(24_000 * seconds)) / 24_000)
    soundfile.write(buffer, tone, 24_000, format="WAV")
    return buffer.getvalue()


def streamed(data: int) -> bytes:
    """With the lengths that are in the header before the writer knows them."""
    content = wav()
    return (
        content[:4]
        + struct.pack("<I", data + 36)
        + content[8:40]
        + struct.pack("<I", data)
        + (content[44:])
    )


def browser() -> bytes:
    """What MediaRecorder makes: Opus in WebM without a duration."""
    command = ["ffmpeg", "-v", "error", "-f", "wav", "-i", "pipe:0", "-c:a", "libopus"]
    command += ["-f", "webm", "-live", "1", "pipe:1"]
    return subprocess.run(command, input=wav(), stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize(
    ("name", "content", "warning"),
    [
        ("streamed.wav", lambda: streamed(2_000_000_000), "its header names 41666.7 seconds"),
        ("endless.wav", lambda: streamed(0xFFFF_FFFF - 36), None),
        ("died.wav", lambda: wav()[:-100], "it ends 0.002 seconds before its header says"),
        ("pieces.wav", lambda: wav(1) * 3, None),
        ("recording.wav", browser, None),
    ],
)
def test_it_becomes_a_song(
    service: Service, name: str, content: Callable[[], bytes], warning: str | None
) -> None:
    answer = service.http.post(
        "/v1/music/generate",
        data={"task_type": "cover", "caption": "jazz", "batch_size": "1"},
        files={"src_audio": (name, content())},
    )
    assert answer.status_code == 200, answer.text
    reported = answer.json().get("warnings", [])
    assert len(reported) == (warning is not None)
    if warning:
        assert reported[0].startswith(f"src_audio: {warning}")
    job = service.finish(answer.json()["job_id"])
    assert job["status"] == "succeeded", job["error"]
    assert job["warnings"] == reported
    song = service.http.get(job["result"]["first_audio_path"])
    length = soundfile.info(io.BytesIO(song.content)).duration
    assert length == pytest.approx(3, abs=0.1)


def test_a_cut_file_on_the_server(service: Service) -> None:
    inputs = service.data / "inputs"
    inputs.mkdir(exist_ok=True)
    path: Path = inputs / "cut.wav"
    path.write_bytes(wav())
    os.truncate(path, path.stat().st_size // 3)
    answer = service.http.post(
        "/v1/music/generate", json={"task_type": "cover", "src_audio_path": str(path)}
    )
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == "src_audio_path"
    assert "of 3.00 seconds only the first 1.00 can be read" in error["detail"]
