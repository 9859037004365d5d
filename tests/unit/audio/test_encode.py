"""A take must be read back from its file: whole, at its level, the same bytes every time."""

import hashlib
import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile as sf

from acestep_ray.artifacts.errors import StorageError
from acestep_ray.audio import aac
from acestep_ray.audio.aac import FRAME
from acestep_ray.audio.encode import UnusableSamples, encode_take, quantise
from acestep_ray.audio.tags import Tags
from acestep_ray.formats import ALWAYS_WRITTEN, FORMATS
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


def _read_back(path: Path, name: str) -> Samples:
    """The samples in a take's file, as many as it states."""
    if not FORMATS[name].by_ffmpeg:
        back, rate = sf.read(path, dtype="float32", always_2d=True)
        assert rate == 48_000
        return np.asarray(back)
    probe = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(path)]
    (stream,) = json.loads(subprocess.check_output(probe))["streams"]
    assert (stream["codec_name"], stream["profile"]) == ("aac", "LC")
    assert (stream["sample_rate"], stream["start_pts"]) == ("48000", 0)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "f32le", "pipe:1"]
    back = np.frombuffer(subprocess.check_output(command), "<f4").reshape(-1, 2)
    # ffmpeg leaves out the priming, and returns the silence in the last block.
    assert 0 <= len(back) - stream["duration_ts"] < FRAME
    return back[: stream["duration_ts"]]


@pytest.mark.parametrize("name", FORMATS)
def test_a_take_comes_back_whole_and_alike(name: str, tmp_path: Path) -> None:
    samples = _music()
    path = tmp_path / "take"  # no extension: the format is given, not guessed
    encoded = encode_take(samples, path, name, TAGS)
    back = _read_back(path, name)
    assert back.shape == samples.shape
    noise = np.mean((back - samples) ** 2) + 1e-30
    decibels = 10 * np.log10(np.mean(samples**2) / noise)
    assert decibels > {"wav": 85, "wav32": 200, "flac": 130}.get(name, 20)
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


@pytest.mark.parametrize("name", [f.name for f in FORMATS.values() if f.bits])
def test_formats_of_integers_hold_the_rounded_samples_exactly(name: str, tmp_path: Path) -> None:
    samples = _music(1.0)
    encode_take(samples, tmp_path / "take", name, TAGS)
    back, _ = sf.read(tmp_path / "take", dtype="float64", always_2d=True)
    full = 2.0 ** (FORMATS[name].bits or 0) / 2
    assert np.array_equal(back * full, np.rint(samples.astype(np.float64) * full))


def test_floats_are_kept_as_they_are(tmp_path: Path) -> None:
    """Also those beyond full scale, and those that 24 bits would round."""
    samples = _music(1.0) * np.float32(1.7)
    samples[:100] *= np.float32(1e-9)
    encode_take(samples, tmp_path / "take", "wav32", TAGS)
    back, _ = sf.read(tmp_path / "take", dtype="float32", always_2d=True)
    assert np.array_equal(back, samples)
    assert sf.info(tmp_path / "take").subtype == "FLOAT"


def test_a_file_of_floats_has_no_date(tmp_path: Path) -> None:
    """libsndfile writes the time of writing: two files of one take would differ."""
    encode_take(_music(1.0), tmp_path / "take", "wav32", TAGS)
    data = (tmp_path / "take").read_bytes()
    peak = data.index(b"PEAK")
    assert data[peak + 12 : peak + 16] == bytes(4)


@pytest.mark.parametrize("count", [1, 1023, 1024, 47_104, 48_001])
def test_an_aac_file_states_its_exact_length(count: int, tmp_path: Path) -> None:
    """For players that play songs without a gap: in its edit list, and as iTunes writes it."""
    path = tmp_path / "take"
    encode_take(_music(1.0)[:count], path, "aac", TAGS)
    assert _read_back(path, "aac").shape == (count, 2)
    tags = mutagen.File(path).tags
    text = bytes(tags["----:com.apple.iTunes:iTunSMPB"][0]).decode()
    priming, silence, length = (int(part, 16) for part in text.split()[1:4])
    assert (priming, length) == (1024, count)
    assert (priming + silence + length) % FRAME == 0


def test_an_aac_file_can_be_played_while_it_arrives(tmp_path: Path) -> None:
    """Its index comes before its sound, also after the tags were written."""
    encode_take(_music(1.0), tmp_path / "take", "aac", Tags(caption="x" * 4000, seed=1))
    data = (tmp_path / "take").read_bytes()
    assert data[4:8] == b"ftyp" and data.index(b"moov") < data.index(b"mdat")


def _replace_ffmpeg(folder: Path, script: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``script`` the only ffmpeg on the PATH; None: there is none."""
    folder.mkdir()
    if script is not None:
        (folder / "ffmpeg").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "ffmpeg").chmod(0o755)
        for tool in ("head", "sh"):
            (folder / tool).symlink_to(shutil.which(tool) or tool)
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize("script", [None, "exit 1", "exec /nowhere", "echo Encoder mp3"])
def test_without_a_usable_ffmpeg_only_aac_is_not_written(
    script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aac, "_options", cache(aac._options.__wrapped__))
    _replace_ffmpeg(tmp_path / "bin", script, monkeypatch)
    assert aac.writable_formats() == ALWAYS_WRITTEN
    with pytest.raises(StorageError, match="no ffmpeg"):
        encode_take(_music(1.0), tmp_path / "take", "aac", TAGS)
    assert not (tmp_path / "take").exists()


@pytest.mark.parametrize("script", [None, "exit 1", "head -c 100 > /dev/null; exit 3"])
def test_an_ffmpeg_that_stops_working_is_a_storage_error(
    script: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if it ends before it has read everything."""
    assert "aac" in aac.writable_formats()
    _replace_ffmpeg(tmp_path / "bin", script, monkeypatch)
    with pytest.raises(StorageError, match="aac file could not be written"):
        encode_take(_music(3.0), tmp_path / "take", "aac", TAGS)
    assert not (tmp_path / "take").exists()


@pytest.mark.parametrize("seconds", [0.1, 30.0])  # it stops before its pipe is full, and after
def test_an_ffmpeg_that_hangs_is_killed(
    seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "aac" in aac.writable_formats()
    monkeypatch.setattr(aac, "_WRITE_SECONDS", 0.3)
    _replace_ffmpeg(tmp_path / "bin", "kill -STOP $$", monkeypatch)
    with pytest.raises(StorageError, match="aac file could not be written"):
        encode_take(_music(seconds), tmp_path / "take", "aac", TAGS)


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


@pytest.mark.parametrize("name", ["mp3", "wav32", "aac"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_the_decoders_fault(
    name: str, bad: float, tmp_path: Path
) -> None:
    samples = _music(1.0)
    samples[40_000, 1] = bad
    with pytest.raises(UnusableSamples, match="not numbers"):
        encode_take(samples, tmp_path / "take", name, TAGS)
    with pytest.raises(UnusableSamples, match="without samples"):
        encode_take(samples[:0], tmp_path / "take", name, TAGS)
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
