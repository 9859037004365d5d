"""Real audio files, made here, and real storage: a folder, and an object store's process."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.timebase import Samples

Make = Callable[..., Path]
Convert = Callable[..., Path]
Pipe = Callable[..., Path]


@pytest.fixture
def tone() -> Samples:
    """Two seconds at 44.1 kHz, with another pitch on each side."""
    time = np.arange(88_200) / 44_100
    both = [0.5 * np.sin(2 * np.pi * hertz * time) for hertz in (440, 550)]
    return np.stack(both, axis=1).astype(np.float32)


@pytest.fixture
def make(tmp_path: Path, tone: Samples) -> Make:
    """``make(name, ...)`` writes a sound file: the tone if no samples are given."""

    def write(
        name: str,
        samples: Samples | None = None,
        rate: int = 44_100,
        *,
        format: str | None = None,
        subtype: str | None = None,
        endian: str | None = None,
    ) -> Path:
        path = tmp_path / name
        data = tone if samples is None else samples
        rate = 48_000 if subtype == "OPUS" else rate
        sf.write(path, data, rate, subtype=subtype, endian=endian, format=format)
        return path

    return write


@pytest.fixture
def convert(make: Make, tmp_path: Path) -> Convert:
    """``convert(name, *arguments)``: ffmpeg converts the tone to this file."""

    def run(name: str, *arguments: str, source: Path | None = None) -> Path:
        path = tmp_path / name
        front = ["ffmpeg", "-v", "error", "-y", "-i", str(source or make("tone.wav"))]
        subprocess.run([*front, *arguments, path], check=True, stdin=subprocess.DEVNULL)
        return path

    return run


@pytest.fixture
def pipe(make: Make, tmp_path: Path) -> Pipe:
    """``pipe(name, program, *arguments)``: the tone as ffmpeg or SoX writes it into a pipe."""

    def run(name: str, program: str, *arguments: str) -> Path:
        path, tone = tmp_path / name, str(make("tone.wav"))
        front = [program, "-v", "error", "-i"] if program == "ffmpeg" else [program, "-q"]
        command = [*front, tone, *arguments, "pipe:1" if program == "ffmpeg" else "-"]
        path.write_bytes(
            subprocess.run(
                command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
            ).stdout
        )
        return path

    return run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where the FLAC will be written: in a folder that is otherwise empty."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work" / "source.flac"
