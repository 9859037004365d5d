"""Real audio files, made here."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.decoder.protocol import Samples

Make = Callable[..., Path]


@pytest.fixture
def tone() -> Samples:
    """Two seconds at 44.1 kHz, another pitch on each side."""
    time = np.arange(88_200) / 44_100
    both = [0.5 * np.sin(2 * np.pi * hertz * time) for hertz in (440, 550)]
    return np.stack(both, axis=1).astype(np.float32)


@pytest.fixture
def make(tmp_path: Path, tone: Samples) -> Make:
    """``make(name, ...)`` writes a sound file: the tone where no samples are given."""

    def write(
        name: str,
        samples: Samples | None = None,
        rate: int = 44_100,
        *,
        format: str | None = None,
        subtype: str | None = None,
    ) -> Path:
        path = tmp_path / name
        data = tone if samples is None else samples
        rate = 48_000 if subtype == "OPUS" else rate
        sf.write(path, data, rate, subtype=subtype, format=format)
        return path

    return write
