"""WAVs whose writer could not go back to write their length, or stated a wrong one: they are read
to their end."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.audio.ingest.child import AudioRejected
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.audio.ingest.layout.chunks import is_chunk
from acestep_ray.timebase import Samples
from tests.unit.audio.conftest import Make, Pipe
from tests.unit.audio.ingest.reading import LIMITS, WHOLE, read


def wav_lengths(path: Path, whole: int, data: int) -> None:
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = struct.pack("<I", whole)
    content[at : at + 4] = struct.pack("<I", data)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("whole", "data"),
    [
        (0xFFFF_FFFF, 0xFFFF_FFFF),  # ffmpeg
        (0x7FFF_F024, 0x7FFF_F000),  # SoX
        (0xFFFF_FFFF, 0xFFFF_FFFF - 44),
        (0xFFFF_FFF7, 0xFFFF_FFD3),
        (0x7FFF_FFFF, 0x7FFF_FFFF),
        (0x8000_0024, 0x8000_0000),
        (0x7F00_0024, 0x7F00_0000),
        (0, 0),
        (36, 0),
        (0xFFFF_FFFF, 0),
    ],
)
async def test_a_wav_whose_length_says_until_the_end(
    whole: int, data: int, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.wav")
    wav_lengths(path, whole, data)
    assert await read(path, out) == WHOLE
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - tone).max() < 1e-4


@pytest.mark.parametrize("data", [2_000_000_000, 1_000_000_000, 500_000_000, 0x4000_0000])
async def test_a_wav_whose_length_was_invented(data: int, make: Make, out: Path) -> None:
    """It cannot be known whether such a length was true once, so there is a warning."""
    path = make("a.wav")
    wav_lengths(path, data + 36, data)
    found = await read(path, out)
    assert found.samples == WHOLE.samples
    named = f"{data / 176_400:.1f}"
    assert found.warning.startswith(f"its header names {named} seconds, more than is accepted")


async def test_between_an_invented_length_and_a_cut_lies_what_is_accepted(
    make: Make, out: Path
) -> None:
    limits = LIMITS.model_copy(update={"seconds": 10.0})
    path = make("a.wav")
    wav_lengths(path, 0, 9 * 176_400)
    with pytest.raises(AudioRejected, match=r"of 9\.00 seconds only the first 2\.00"):
        await ingest(path, out, limits)
    wav_lengths(path, 0, 11 * 176_400)
    assert (await read(path, out, limits)).warning.startswith("its header names 11.0 seconds")


@pytest.mark.parametrize(
    ("name", "program", "arguments"),
    [
        ("a.wav", "ffmpeg", ["-f", "wav"]),
        ("adpcm.wav", "ffmpeg", ["-c:a", "adpcm_ms", "-f", "wav"]),
        ("r.wav", "ffmpeg", ["-rf64", "always", "-f", "wav"]),
        ("a.w64", "ffmpeg", ["-f", "w64"]),
        ("a.aiff", "ffmpeg", ["-f", "aiff"]),
        ("a.au", "ffmpeg", ["-f", "au"]),
        ("a.flac", "ffmpeg", ["-f", "flac"]),
        ("a.ogg", "ffmpeg", ["-c:a", "libvorbis", "-f", "ogg"]),
        ("a.mp3", "ffmpeg", ["-q:a", "2", "-f", "mp3"]),
        ("a.mp2", "ffmpeg", ["-f", "mp2"]),
        ("sox.wav", "sox", ["-t", "wav"]),
        ("sox.aiff", "sox", ["-t", "aiff"]),
        ("sox.aifc", "sox", ["-t", "aifc"]),
        ("sox.au", "sox", ["-t", "au"]),
        ("a.caf", "ffmpeg", ["-f", "caf"]),
        ("a.webm", "ffmpeg", ["-c:a", "libopus", "-f", "webm"]),
        ("a.mka", "ffmpeg", ["-c:a", "pcm_f32le", "-f", "matroska"]),
        ("a.aac", "ffmpeg", ["-f", "adts"]),
        ("a.mp4", "ffmpeg", ["-f", "mp4", "-movflags", "empty_moov+frag_keyframe"]),
    ],
)
async def test_what_programs_write_into_a_pipe(
    name: str, program: str, arguments: list[str], pipe: Pipe, out: Path
) -> None:
    found = await read(pipe(name, program, *arguments), out)
    assert found.warning == ""
    assert found.samples / found.sample_rate == pytest.approx(2, abs=0.05)


async def test_a_recorder_that_died_since_it_last_wrote_the_length(make: Make, out: Path) -> None:
    """It looks the same as a whole file with other data after it: there is a warning."""
    path = make("a.wav")
    wav_lengths(path, 36 + 100_000, 100_000)
    found = await read(path, out)
    assert found.samples == WHOLE.samples
    assert found.warning.startswith("it breaks off, or is damaged inside")


@pytest.mark.parametrize("at", range(30_000, 30_100, 10))
def test_samples_of_8_bits_are_not_taken_for_a_chunk(at: int, make: Make, tone: Samples) -> None:
    path = make("a.wav", tone[:, :1], subtype="PCM_U8")
    start = path.read_bytes().index(b"data") + 8
    with path.open("rb") as file:
        assert not is_chunk(file.fileno(), start + at, "<")


@pytest.mark.parametrize("whole", [0, 36 + 352_800])
async def test_a_wav_whose_sound_goes_on_behind_its_stated_end(
    whole: int, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.wav")
    wav_lengths(path, whole, 100_000)
    assert replace(await read(path, out), warning="") == WHOLE
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - tone).max() < 1e-4


async def test_something_unknown_behind_a_wav_is_not_taken_silently(make: Make, out: Path) -> None:
    path = make("a.wav")
    picture = b"\xff\xd8\xff\xe0" + np.random.default_rng(0).bytes(200_000)
    path.write_bytes(path.read_bytes() + picture)
    assert (await read(path, out)).warning.startswith("it breaks off, or is damaged inside")


@pytest.mark.parametrize(
    "after",
    [b"LIST\4\0\0\0INFO", b"\0id3 \4\0\0\0INFO", b"C2PA\x10\x27\0\0", b"TAG", b"\0" * 8],
)
async def test_what_follows_the_sound_of_a_wav_is_not_taken_for_sound(
    after: bytes, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.wav", tone[:, :1], subtype="PCM_U8")
    path.write_bytes(path.read_bytes()[: 44 + 88_199] + after.ljust(8000, b"\0"))
    wav_lengths(path, path.stat().st_size - 8, 88_199)
    assert await read(path, out) == Ingested(44_100, 1, 88_199)


async def test_wavs_that_were_joined(make: Make, tone: Samples, out: Path) -> None:
    """The output of a service that makes each piece of a stream a separate file."""
    path = make("a.wav")
    one = path.read_bytes()
    path.write_bytes(one * 3)
    assert await read(path, out) == Ingested(44_100, 2, 3 * 88_200)
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - np.tile(tone, (3, 1))).max() < 1e-4
    path.write_bytes(one * 3 + make("b.wav", tone, 48_000).read_bytes())
    with pytest.raises(AudioRejected, match="changes its sample rate or channels inside"):
        await ingest(path, out, LIMITS)
    path.write_bytes((one * 2)[:-40_000])
    with pytest.raises(AudioRejected, match=r"of 4\.00 seconds only the first 3\.77"):
        await ingest(path, out, LIMITS)


LIST = b"LIST" + struct.pack("<I", 4) + b"INFO"


def _with_list(one: bytes) -> bytes:
    whole = one + LIST
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


def _streamed(one: bytes) -> bytes:
    at = one.index(b"data") + 4
    return one[:4] + b"\xff" * 4 + one[8:at] + b"\xff" * 4 + one[at + 4 :]


@pytest.mark.parametrize("change", [_with_list, _streamed])
async def test_other_wavs_that_were_joined(
    change: Callable[[bytes], bytes], make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.wav")
    path.write_bytes(change(path.read_bytes()) * 3)
    assert await read(path, out) == Ingested(44_100, 2, 3 * 88_200)
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - np.tile(tone, (3, 1))).max() < 1e-4


async def test_joined_rf64_that_was_streamed(pipe: Pipe, out: Path) -> None:
    path = pipe("a.wav", "ffmpeg", "-rf64", "always", "-f", "wav")
    path.write_bytes(path.read_bytes() * 2)
    assert await read(path, out) == Ingested(44_100, 2, 2 * 88_200)


async def test_joined_wavs_of_odd_length_without_padding(
    make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.wav", tone[:, :1], subtype="PCM_U8")
    one = path.read_bytes()
    size = one.index(b"data") + 8 + 88_199
    path.write_bytes(one[:size])
    wav_lengths(path, size - 8, 88_199)
    path.write_bytes(path.read_bytes() * 2)
    assert await read(path, out) == Ingested(44_100, 1, 2 * 88_199)
