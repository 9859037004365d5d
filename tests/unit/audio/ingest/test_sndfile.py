"""libsndfile called directly: what fails below it is raised, never read as sound."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from acestep_ray.audio.ingest.child import libsndfile
from acestep_ray.audio.ingest.layout.parts import Parts
from acestep_ray.audio.ingest.sndfile import Sndfile


class Failing(Parts):
    """Fails at the call number ``at`` of ``method``, as a network file system may."""

    def __init__(self, descriptor: int, size: int, method: str, at: int, error: Exception) -> None:
        super().__init__(descriptor, [(0, size)])
        self.calls = 0
        call = getattr(self, method)

        def fails(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls > at:
                raise error
            return call(*arguments)

        setattr(self, method, fails)


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), MemoryError()])
@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG"])
@pytest.mark.parametrize(
    ("method", "at"), [("readinto", 0), ("readinto", 1), ("readinto", 12), ("seek", 0), ("tell", 0)]
)
def test_what_the_file_raises_is_raised(
    tmp_path: Path, error: Exception, format: str, method: str, at: int
) -> None:
    path = tmp_path / "file"
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (96_000, 2)).astype(np.float32)
    soundfile.write(path, noise, 48_000, format=format)
    with path.open("rb") as file:
        parts = Failing(file.fileno(), path.stat().st_size, method, at, error)
        with pytest.raises(type(error)), Sndfile(libsndfile()).read(parts) as sound:
            block = sound.block(256)
            while sound.read_into(block, 256):
                pass
        assert parts.calls == at + 1, "a file that has failed is asked for more"
