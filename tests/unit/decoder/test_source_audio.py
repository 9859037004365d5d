"""The decoder must get exactly the samples that the client sent."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acestep_ray.artifacts.store import ArtifactMissing, Artifacts, StorageError
from acestep_ray.decoder.protocol import SourceAudio
from acestep_ray.decoder.source_audio import read_source
from acestep_ray.timebase import Samples

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are written, so that a test can check that none stays."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts((tmp_path / "store").as_uri())


@pytest.mark.parametrize("channels", [1, 2, 6])
async def test_samples_come_back_as_stored(
    channels: int, artifacts: Artifacts, make: Make, temporary: Path
) -> None:
    steps = np.random.default_rng(0).integers(-(2**23), 2**23, (50_000, channels))
    samples: Samples = (steps / 2**23).astype(np.float32)
    await artifacts.put_file("sources/j/source.flac", make("a.flac", samples, subtype="PCM_24"))
    stored = SourceAudio(
        key="sources/j/source.flac", sample_rate=44_100, channels=channels, samples=50_000
    )
    back, rate, digest = await read_source(artifacts, stored)
    assert digest == (await read_source(artifacts, stored))[2]
    assert rate == 44_100
    assert back.dtype == np.float32
    assert np.array_equal(back, samples)
    assert list(temporary.iterdir()) == []


async def test_what_is_gone_or_damaged_is_told(
    artifacts: Artifacts, make: Make, temporary: Path
) -> None:
    wanted = SourceAudio(
        key="sources/j/source.flac", sample_rate=44_100, channels=2, samples=88_200
    )
    with pytest.raises(ArtifactMissing):
        await read_source(artifacts, wanted)
    whole = make("a.flac")
    await artifacts.put_file(wanted.key, whole)
    assert (await read_source(artifacts, wanted))[0].shape == (88_200, 2)
    with pytest.raises(StorageError, match="not what was stored"):
        await read_source(artifacts, wanted.model_copy(update={"samples": 88_201}))
    whole.write_bytes(whole.read_bytes()[:5000])
    await artifacts.put_file(wanted.key, whole)
    with pytest.raises(StorageError, match="damaged"):
        await read_source(artifacts, wanted)
    assert list(temporary.iterdir()) == []
