"""What ``make serve-real`` serves, with a tiny checkpoint; and songs, requested over HTTP."""

import io
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from tests.service import CLI, ROOT, Service, running


@contextmanager
def serving(folder: Path, *options: str, **environment: str) -> Iterator[Service]:
    """The service, on a tiny checkpoint that is made as a new user makes it."""
    checkpoints = str(folder / "checkpoints")
    command = [str(CLI), "make-tiny-checkpoint", checkpoints, *options]
    subprocess.run(command, check=True, capture_output=True)
    config = yaml.safe_load((ROOT / "serve_config.gpu.yaml").read_text())
    environment = {"ACESTEP_CHECKPOINTS": checkpoints, **environment}
    with running(folder / "data", environment, config) as service:
        yield service


def wav(seconds: float, rate: int = 44_100) -> bytes:
    """A source: a tone."""
    time = np.arange(int(seconds * rate)) / rate
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * 330 * time), rate, format="WAV")
    return buffer.getvalue()


def request(service: Service, files: dict[str, bytes] | None = None, **fields: Any) -> Any:
    """The response to a job that is submitted as a form."""
    fields = {"audio_format": "flac", "batch_size": 1, "inference_steps": 2, **fields}
    data = {name: str(value) for name, value in fields.items()}
    return service.http.post("/v1/music/generate", data=data, files=files or {})


def song(
    service: Service, files: dict[str, bytes] | None = None, **fields: Any
) -> tuple[dict[str, Any], Any]:
    """The finished job, and its take as [samples, 2]."""
    answer = request(service, files, **fields)
    assert answer.status_code == 200, answer.text
    job = service.finish(answer.json()["job_id"])
    assert job["status"] == "succeeded", job
    file = service.http.get(job["result"]["first_audio_path"]).content
    samples, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
    assert rate == 48_000
    return job, samples
