"""Write a take to a file: blocks through soundfile or ffmpeg, then tags, then its digest."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mutagen
import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from acestep_ray.artifacts.errors import StorageError
from acestep_ray.audio.aac import stated_samples, write_aac
from acestep_ray.audio.ogg import set_serial
from acestep_ray.audio.tags import Tags, write_tags
from acestep_ray.audio.wav import clear_peak_time
from acestep_ray.formats import FORMATS, AudioFormat
from acestep_ray.timebase import SAMPLE_RATE, Samples

BLOCK = 16_384
"""Frames per write. libsndfile's Vorbis encoder keeps a whole write on the stack and crashes if it
is long (measured: a segmentation fault for one minute in one write). The bytes of a Vorbis file
depend on this number."""


class UnusableSamples(ValueError):
    """The samples are not valid sound. The message is one sentence that a client may read."""


@dataclass(frozen=True)
class Encoded:
    """A finished file; ``samples`` counts the samples per channel at 48 kHz."""

    bytes: int
    sha256: str
    samples: int


def encode_take(samples: Samples, path: Path, format: str, tags: Tags) -> Encoded:
    """Write ``samples`` ([n, channels] float32 in [-1, 1], 48 kHz) to ``path``.

    ``format`` is one of ``FORMATS``. The same samples and tags make the same bytes, in every
    format. Formats of integers hold ``round(x * 2**(bits - 1))``, and wav32 the samples themselves;
    except in wav32, values outside [-1, 1] clip. Blocking, and the slowest CPU work on a take: an
    mp3 costs one core about a second for 30 s of sound. Raises StorageError if the file cannot be
    written (also if it needs ffmpeg, and there is none), and UnusableSamples; then no file is left.
    """
    how = FORMATS[format]
    try:
        if len(samples) == 0:
            raise UnusableSamples("The decoder made a take without samples.")
        if how.by_ffmpeg:
            write_aac(_blocks(samples), samples.shape[1], path)
        else:
            _write(samples, path, how)
        if how.subtype == "FLOAT":
            clear_peak_time(path)
        write_tags(path, format, tags, len(samples))
        if how.is_ogg:
            # The takes of a job have different seeds, so their files may be joined into one.
            set_serial(path, tags.seed)
        if _length(path, how) != len(samples):
            raise StorageError(f"The {format} file came out short.")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Encoded(path.stat().st_size, digest, len(samples))
    except (sf.SoundFileError, mutagen.MutagenError, OSError) as error:
        path.unlink(missing_ok=True)
        raise StorageError(f"The {format} file could not be written.") from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write(samples: Samples, path: Path, how: AudioFormat) -> None:
    with sf.SoundFile(
        path,
        "w",
        samplerate=SAMPLE_RATE,
        channels=samples.shape[1],
        format=how.container,
        subtype=how.subtype,
        compression_level=how.compression_level,
        bitrate_mode=how.bitrate_mode,
    ) as file:
        for block in _blocks(samples):
            file.write(block if how.bits is None else quantise(block, how.bits))


def _blocks(samples: Samples) -> Iterator[Samples]:
    for start in range(0, len(samples), BLOCK):
        block = samples[start : start + BLOCK]
        if not np.isfinite(block).all():
            raise UnusableSamples("The decoder made samples that are not numbers.")
        yield block


def _length(path: Path, how: AudioFormat) -> int:
    """Samples per channel that the file states."""
    if how.by_ffmpeg:
        return stated_samples(path)
    return int(sf.info(str(path)).frames)


def quantise(block: Samples, bits: int) -> NDArray[np.int16] | NDArray[np.int32]:
    """Round to ``bits`` (16 or 24), clipped; int16, or int32 with the value in its upper bits.

    libsndfile's own conversion rounds down when it clips: an offset of half a step, and 6 dB more
    noise.
    """
    full = 1 << (bits - 1)
    rounded = np.clip(np.rint(block.astype(np.float64) * full), -full, full - 1)
    if bits == 16:
        return rounded.astype(np.int16)
    return rounded.astype(np.int32) << (32 - bits)
