"""A take must be read back from its file: whole, at its level, the same bytes every time."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.artifacts.errors import StorageError
from acestep_ray.audio.encode import UnusableSamples, encode_take, quantise
from acestep_ray.audio.tags import Tags
from acestep_ray.formats import FORMATS
from acestep_ray.timebase import Samples

TAGS = Tags(caption="a song", seed=7, bpm=120, key="C major", mock=True)


def _music(seconds: float = 3.0) -> Samples:
    """Partials and noise, peak at -1 dBFS, both channels different."""
    count = int(48_000 * seconds) + 123  # ends inside a frame of every codec
    time = np.arange(count) / 48_000
    left = np.zeros(count)
    for k in range(1, 9):
        left += np.sin(2 * np.pi * 110 * k * time + k) / k
    noise = np.random.default_rng(3).standard_normal(count)
    both = np.stack([left + 0.02 * noise, np.roll(left, 40)], axis=1)
    both *= 0.891 / np.abs(both).max()
    return both.astype(np.float32)


@pytest.mark.parametrize("name", FORMATS)
def test_a_take_comes_back_whole_and_alike(name: str, tmp_path: Path) -> None:
    samples = _music()
    path = tmp_path / "take"  # no extension: the format is given, not guessed
    encoded = encode_take(samples, path, name, TAGS)
    back, rate = sf.read(path, dtype="float32", always_2d=True)
    assert rate == 48_000
    assert back.shape == samples.shape
    noise = np.mean((back - samples) ** 2)
    decibels = 10 * np.log10(np.mean(samples**2) / noise)
    assert decibels > {"wav": 85, "flac": 130}.get(name, 20)
    assert encoded.samples == len(samples)
    assert encoded.bytes == path.stat().st_size
    assert encoded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


AGAIN = """
import sys, numpy as np
from pathlib import Path
from acestep_ray.audio.encode import encode_take
from acestep_ray.formats import FORMATS
from acestep_ray.audio.tags import Tags
samples = np.load(sys.argv[1])
tags = Tags(caption="a song", seed=7, bpm=120, key="C major", mock=True)
for name in FORMATS:
    print(encode_take(samples, Path(sys.argv[2]), name, tags).sha256)
"""


def test_the_same_take_is_the_same_file_in_every_format(tmp_path: Path) -> None:
    """Also from another process: libsndfile seeds its Ogg serials once per process."""
    samples = _music(1.0)
    first = [encode_take(samples, tmp_path / "a", name, TAGS).sha256 for name in FORMATS]
    np.save(tmp_path / "samples.npy", samples)
    again = subprocess.run(
        [sys.executable, "-c", AGAIN, tmp_path / "samples.npy", tmp_path / "b"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert again.stdout.split() == first


@pytest.mark.parametrize("name", [f.name for f in FORMATS.values() if f.lossless])
def test_lossless_formats_hold_the_rounded_samples_exactly(name: str, tmp_path: Path) -> None:
    samples = _music(1.0)
    encode_take(samples, tmp_path / "take", name, TAGS)
    back, _ = sf.read(tmp_path / "take", dtype="float64", always_2d=True)
    full = 2.0 ** (FORMATS[name].bits or 0) / 2
    assert np.array_equal(back * full, np.rint(samples.astype(np.float64) * full))


def test_rounding_has_no_offset_and_clips_at_full_scale() -> None:
    ramp = np.linspace(-1.2, 1.2, 100_001, dtype=np.float32).reshape(-1, 1)
    for bits in (16, 24):
        steps = quantise(ramp, bits).astype(np.float64) / 2.0 ** (15 if bits == 16 else 31)
        inside = np.abs(ramp) < 0.999
        assert abs(float(np.mean((steps - ramp)[inside]))) < 1e-3 * 2.0 ** (1 - bits)
        assert steps.min() == -1.0
        assert steps.max() == 1.0 - 2.0 ** (1 - bits)


def test_a_long_take_is_written_in_blocks(tmp_path: Path) -> None:
    """Written in one call, a minute of Vorbis crashes the process."""
    samples = np.zeros((48_000 * 60, 2), np.float32)
    assert encode_take(samples, tmp_path / "take", "ogg", TAGS).samples == len(samples)


@pytest.mark.parametrize("name", ["ogg", "opus"])
def test_ogg_streams_of_one_job_differ_in_their_serial(name: str, tmp_path: Path) -> None:
    """Pages of two takes with one serial could not be joined into one file."""
    serials = set()
    for seed in (2**32 - 1, 0):
        encode_take(_music(1.0), tmp_path / "take", name, Tags(caption="", seed=seed))
        serials.add((tmp_path / "take").read_bytes()[14:18])
    assert serials == {b"\xff\xff\xff\xff", b"\0\0\0\0"}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_the_decoders_fault(bad: float, tmp_path: Path) -> None:
    samples = _music(1.0)
    samples[40_000, 1] = bad
    with pytest.raises(UnusableSamples, match="not numbers"):
        encode_take(samples, tmp_path / "take", "mp3", TAGS)
    with pytest.raises(UnusableSamples, match="without samples"):
        encode_take(samples[:0], tmp_path / "take", "mp3", TAGS)
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, sys, numpy as np
from pathlib import Path
from acestep_ray.audio.encode import encode_take
from acestep_ray.formats import FORMATS
from acestep_ray.artifacts.errors import StorageError
from acestep_ray.audio.tags import Tags
path = Path(sys.argv[1])
samples = np.random.default_rng(0).uniform(-0.5, 0.5, (30_000, 2)).astype(np.float32)
tags = Tags(caption="a song", seed=1)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for name in FORMATS:
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    whole = encode_take(samples, path, name, tags).bytes
    path.unlink()
    for most in (0, 100, whole // 2, whole - 1000, whole - 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        try:
            encode_take(samples, path, name, tags)
        except StorageError as error:
            print(error)
        assert not path.exists()
"""


def test_a_full_disk_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    """Wherever the disk becomes full, also in the last flush and in the tags."""
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "take"],
        check=True,
        capture_output=True,
        text=True,
    )
    wanted = [f"The {name} file could not be written." for name in FORMATS for _ in range(5)]
    assert ended.stdout.splitlines() == wanted


def test_a_folder_that_is_gone_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="could not be written") as caught:
        encode_take(_music(1.0), tmp_path / "gone" / "take", "wav", TAGS)
    assert str(tmp_path) not in str(caught.value)
