"""Files whose writer could not go back to write their length, or stated a wrong one: they are read
to their end."""

import os
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
from acestep_ray.audio.ingest.layout.mp3 import parse
from acestep_ray.audio.ingest.layout.ogg import pages
from acestep_ray.audio.ingest.layout.parts import Window
from acestep_ray.settings import Ingest
from acestep_ray.timebase import Samples
from tests.unit.audio.conftest import Convert, Make, Pipe

LIMITS = Ingest()
WHOLE = Ingested(44_100, 2, 88_200)


async def read(path: Path, out: Path, limits: Ingest = LIMITS) -> Ingested:
    found = await ingest(path, out, limits)
    assert sf.info(out).frames == found.samples
    return found


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
    """Nobody can tell whether such a length was true once, so there is a warning."""
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
    """It cannot be told from a whole file with something else behind it: there is a warning."""
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
    """What a service sends that makes each piece of a stream a file of its own."""
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


def flac_total(path: Path, total: int) -> None:
    content = bytearray(path.read_bytes())
    content[21] = content[21] & 0xF0 | total >> 32
    content[22:26] = (total & 0xFFFF_FFFF).to_bytes(4, "big")
    path.write_bytes(content)


@pytest.mark.parametrize("total", [0, 1, 44_100, 88_199])
async def test_a_flac_that_names_too_few_samples_or_none(
    total: int, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.flac")
    flac_total(path, total)
    assert await read(path, out) == WHOLE
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - tone).max() < 1e-4


@pytest.mark.parametrize("total", [2**36 - 1, 2**32 - 1, 44_100 * 601])
async def test_a_flac_that_names_more_than_could_be_sent(total: int, make: Make, out: Path) -> None:
    path = make("a.flac")
    flac_total(path, total)
    found = await read(path, out)
    assert found.samples == WHOLE.samples
    assert found.warning.startswith(f"its header names {total / 44_100:.1f} seconds")


async def test_a_flac_that_names_no_length_is_watched_as_it_is_read(make: Make, out: Path) -> None:
    path = make("a.flac")
    flac_total(path, 0)
    with pytest.raises(AudioRejected, match=r"longer than 1\.9 seconds"):
        await ingest(path, out, LIMITS.model_copy(update={"seconds": 1.9}))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(AudioRejected, match=r"damaged: only the first 0\.\d\d seconds"):
        await ingest(path, out, LIMITS)


JUNK = np.random.default_rng(0).bytes(5000)


@pytest.mark.parametrize("behind", [bytes(1000), b"ID3\4\0\0\0\0\0\5hello", JUNK])
async def test_what_follows_a_flac_costs_nothing_of_it(
    behind: bytes, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.flac")
    path.write_bytes(path.read_bytes() + behind)
    assert await read(path, out) == WHOLE
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - tone).max() < 1e-4


@pytest.mark.parametrize(
    "behind",
    [bytes(1000), b"ID3\4\0\0\0\0\0\5hello", b"ID3\4\0\0\0\0\1\0" + b"x".ljust(128, b"\0")],
)
async def test_zeros_or_tags_behind_a_flac_that_names_no_length(
    behind: bytes, make: Make, out: Path
) -> None:
    path = make("a.flac")
    flac_total(path, 0)
    path.write_bytes(path.read_bytes() + behind)
    assert await read(path, out) == WHOLE


@pytest.mark.parametrize("between", [b"", b"ID3\4\0\0\0\0\0\5hello"])
@pytest.mark.parametrize("totals", [(88_200, 88_200), (0, 0), (0, 88_200), (88_200, 0)])
async def test_flacs_that_were_joined(
    totals: tuple[int, int], between: bytes, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.flac")
    pieces = []
    for total in totals:
        flac_total(path, total)
        pieces.append(path.read_bytes())
    path.write_bytes(between.join(pieces))
    assert await read(path, out) == Ingested(44_100, 2, 2 * 88_200)
    kept, _ = sf.read(out, dtype="float32", always_2d=True)
    assert np.abs(kept - np.tile(tone, (2, 1))).max() < 1e-4


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (20, "damaged: only the first 2.00 seconds"),
        (60, "of 4.00 seconds only the first 2.00"),
        (-20_000, "of 4.00 seconds only the first 3."),
    ],
)
async def test_joined_flacs_that_were_cut(kept: int, message: str, make: Make, out: Path) -> None:
    path = make("a.flac")
    one = path.read_bytes()
    path.write_bytes(one + one[:kept])
    with pytest.raises(AudioRejected, match=message):
        await ingest(path, out, LIMITS)


@pytest.fixture
def noise() -> Samples:
    """Ten seconds, of which nine are silent: a bit rate that varies."""
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
        (3, 800, 1),  # of a cut file, both would be too many
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
    """libsndfile takes the first frame's rate for all, and stops where it then expects the end."""
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
    delay = 576  # the encoder's, which the header would have stated
    both = np.clip(whole[:400_000], -1, 1), kept[delay : delay + 400_000]
    assert np.abs(both[0] - both[1]).max() < 1e-5


@pytest.mark.parametrize(
    "between", [b"", b"ID3\x04\0\0\0\0\x10\0" + b"x" * 2048, b"TAG" + b"x" * 125]
)
async def test_mp3s_that_were_joined(between: bytes, make: Make, out: Path) -> None:
    """The header of the first does not know of the second."""
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


@pytest.mark.parametrize("hole", [bytes(200_000), JUNK * 100])
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


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
async def test_an_ogg_stream_without_begin_or_end(subtype: str, make: Make, out: Path) -> None:
    """What a listener of a radio has: the headers, then pages from the middle, and no last one."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (480_000, 2)).astype(np.float32)
    path = make("a.ogg", noise, 48_000, format="OGG", subtype=subtype)
    content = path.read_bytes()
    with path.open("rb") as file:
        found = list(pages(Window(file.fileno()), 0, len(content)))
    head = [page for page in found if page.position == 0]
    sound = [page for page in found if page.position != 0][2:-2]
    path.write_bytes(b"".join(content[page.start : page.end] for page in head + sound))
    read_from_it = await read(path, out)
    assert read_from_it.warning == ""
    expected = (sound[-1].position - sound[0].position) / 48_000
    assert expected < read_from_it.samples / read_from_it.sample_rate < 10


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
async def test_oggs_that_were_joined(subtype: str, make: Make, out: Path) -> None:
    path = make("a.ogg", format="OGG", subtype=subtype)
    length = sf.info(path).frames
    path.write_bytes(path.read_bytes() * 3)
    assert (await read(path, out)).samples == 3 * length


async def test_oggs_of_other_rates_that_were_joined(make: Make, tone: Samples, out: Path) -> None:
    path = make("a.ogg")
    other = make("b.ogg", tone, 48_000)
    path.write_bytes(path.read_bytes() + other.read_bytes())
    with pytest.raises(AudioRejected, match="changes its sample rate or channels inside"):
        await ingest(path, out, LIMITS)
