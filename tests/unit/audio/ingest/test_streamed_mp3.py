"""MP3s and AAC streams without a length or with a wrong one: they are read to their end."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from acestep_ray.audio.ingest.child import AudioRejected
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.audio.ingest.layout.mp3 import parse
from acestep_ray.timebase import Samples
from tests.unit.audio.conftest import Convert, Make, Pipe
from tests.unit.audio.ingest.reading import JUNK, LIMITS, read


@pytest.fixture
def noise() -> Samples:
    """Ten seconds, of which nine are silent: a variable bit rate."""
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (441_000, 2)).astype(np.float32)
    samples[44_100:] = 0
    return samples


def xing(path: Path, flags: int, frames: int, length: int) -> None:
    """Overwrite what an MP3's header states."""
    content = bytearray(path.read_bytes())
    at = content.index(b"Xing")
    values = [value for flag, value in ((1, frames), (2, length)) if flags & flag]
    fields = struct.pack(f">{1 + len(values)}I", flags, *values)
    content[at + 4 : at + 4 + len(fields)] = fields
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("flags", "frames", "length"),
    [
        (3, 0, 0),  # its writer could not go back
        (3, 100, 10_000),
        (1, 100, 0),
        (3, 800, 1),  # of a cut file, both would be too large
        (3, 1, 2**31),
        (2, 0, 100),
    ],
)
async def test_an_mp3_whose_header_is_wrong(
    flags: int, frames: int, length: int, noise: Samples, make: Make, out: Path
) -> None:
    path = make("a.mp3", noise)
    xing(path, flags, frames, length)
    found = await read(path, out)
    assert found.warning == ""
    assert found.samples == pytest.approx(441_000, abs=2400)


async def test_an_mp3_that_names_more_than_could_be_sent(make: Make, out: Path) -> None:
    path = make("a.mp3")
    xing(path, 3, 2**32 - 1, 2**32 - 1)
    found = await read(path, out)
    assert found.samples == pytest.approx(88_200, abs=2400)
    assert found.warning.startswith("its header names 11219")


async def test_an_mp3_of_varying_bit_rate_that_names_no_length(
    noise: Samples, make: Make, out: Path
) -> None:
    """libsndfile uses the first frame's rate for all, and stops at the end by that rate."""
    path = make("a.mp3", noise, subtype="MPEG_LAYER_III")
    whole, _ = sf.read(path, dtype="float32", always_2d=True)
    content = path.read_bytes()
    second = parse(content[:4]).length  # type: ignore[union-attr]
    path.write_bytes(content[second:])
    assert sf.info(path).frames < 200_000
    found = await read(path, out)
    assert found == Ingested(44_100, 2, found.samples)
    assert 0 <= found.samples - 441_000 < 3000
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    delay = 576  # the encoder's padding, which the header would have stated
    both = np.clip(whole[:400_000], -1, 1), kept[delay : delay + 400_000]
    assert np.abs(both[0] - both[1]).max() < 1e-5


@pytest.mark.parametrize(
    "between", [b"", b"ID3\x04\0\0\0\0\x10\0" + b"x" * 2048, b"TAG" + b"x" * 125]
)
async def test_mp3s_that_were_joined(between: bytes, make: Make, out: Path) -> None:
    """The header of the first does not count the second."""
    path = make("a.mp3")
    one = path.read_bytes()
    path.write_bytes(one + between + one)
    found = await read(path, out)
    assert found.warning == ""
    assert found.samples == pytest.approx(2 * 88_200, abs=3000)


async def test_an_mp3_with_junk_inside_says_so(make: Make, out: Path) -> None:
    path = make("a.mp3")
    one = path.read_bytes()
    path.write_bytes(one + b"junk" * 1000 + one)
    found = await read(path, out)
    assert found.samples == pytest.approx(2 * 88_200, abs=3000)
    assert found.warning.startswith("it breaks off, or is damaged inside")


@pytest.fixture
def frames(convert: Convert, make: Make, noise: Samples) -> Callable[..., bytes]:
    """``frames(*arguments)``: ten seconds of MP3 without any header."""

    def run(*arguments: str) -> bytes:
        bare = ["-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0", "-b:a", "64k"]
        return convert("b.mp3", *bare, *arguments, source=make("noise.wav", noise)).read_bytes()

    return run


@pytest.mark.parametrize("hole", [bytes(200_000), JUNK * 100], ids=["zeros", "junk"])
async def test_an_mp3_with_a_large_hole(
    hole: bytes, frames: Callable[..., bytes], tmp_path: Path, out: Path
) -> None:
    path, one = tmp_path / "a.mp3", frames()
    path.write_bytes(one + hole + one + hole + one)
    found = await read(path, out)
    assert found.samples == pytest.approx(3 * 441_000, abs=9000)
    assert found.warning.startswith("it breaks off, or is damaged inside")


async def test_much_behind_an_mp3_is_not_passed_over_silently(
    frames: Callable[..., bytes], tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(frames() + bytes(200_000))
    assert (await read(path, out)).warning.startswith("it breaks off, or is damaged inside")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], ["-ar", "48000"]),
        (["-ar", "22050"], []),
        ([], ["-ac", "1"]),
        (["-ac", "1"], []),
    ],
)
async def test_mp3s_of_another_kind_that_were_joined(
    first: list[str], second: list[str], frames: Callable[..., bytes], tmp_path: Path, out: Path
) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(frames(*first) + frames(*second))
    with pytest.raises(AudioRejected, match="changes its sample rate or channels inside"):
        await ingest(path, out, LIMITS)


@pytest.mark.parametrize("name", ["a.mp3", "a.aac"])
async def test_a_stream_that_begins_inside_a_frame(name: str, pipe: Pipe, out: Path) -> None:
    path = pipe(name, "ffmpeg", "-f", "adts" if name == "a.aac" else "mp3")
    path.write_bytes(path.read_bytes()[3000:])
    found = await read(path, out)
    assert 1.5 < found.samples / found.sample_rate < 2
