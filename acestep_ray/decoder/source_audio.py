"""Read a job's ingested audio back from storage."""

import asyncio
import hashlib
import tempfile
from pathlib import Path

import soundfile as sf

from acestep_ray.artifacts.errors import StorageError
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.protocol import SourceAudio
from acestep_ray.timebase import Samples


async def read_source(artifacts: Artifacts, source: SourceAudio) -> tuple[Samples, int, str]:
    """The audio as [samples, channels] float32 in [-1, 1], its rate in Hz, and the SHA-256 of its
    file.

    Raises ArtifactMissing if it no longer exists, and StorageError if it is not what was stored.
    """
    with tempfile.TemporaryDirectory(prefix="acestep-source-") as folder:
        path = Path(folder) / "source.flac"
        await artifacts.fetch(source.key, path)
        try:
            samples, rate, digest = await asyncio.to_thread(_read, path)
        except sf.SoundFileError as error:
            raise StorageError("The source audio in storage is damaged.") from error
    if (rate, *samples.shape) != (source.sample_rate, source.samples, source.channels):
        raise StorageError("The source audio in storage is not what was stored.")
    return samples, rate, digest


def _read(path: Path) -> tuple[Samples, int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    samples, rate = sf.read(path, dtype="float32", always_2d=True)
    return samples, rate, digest
