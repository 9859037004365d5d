"""Files that end too early: by a little, which is accepted with a warning, or by more."""

import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mutagen.ogg import OggPage

from acestep_ray.audio.ingest.child import AudioRejected
from acestep_ray.audio.ingest.ingest import Ingested, ingest
from acestep_ray.audio.ingest.layout.find import find_layout
from acestep_ray.audio.ingest.layout.ogg import LAST
from acestep_ray.audio.ingest.layout.tags import end_before_tags
from acestep_ray.settings import Ingest
from acestep_ray.timebase import Samples
from tests.unit.audio.conftest import Convert, Make

LIMITS = Ingest()
BY_SOUNDFILE: dict[str, dict[str, str]] = {
    "a.wav": {},
    "float.wav": {"subtype": "FLOAT"},
    "adpcm.wav": {"subtype": "MS_ADPCM"},
    "r.wav": {"format": "RF64"},
    "a.w64": {},
    "a.aiff": {},
    "a.au": {},
    "a.flac": {},
    "a.ogg": {},
    "a.opus": {"format": "OGG", "subtype": "OPUS"},
    "a.mp3": {},
}
BY_FFMPEG: dict[str, list[str]] = {
    "a.m4a": ["-c:a", "aac", "-movflags", "+faststart"],
    "a.webm": ["-c:a", "libopus"],
    "a.mkv": ["-c:a", "pcm_s16le"],
    "a.caf": [],
}
NAMES = [*BY_SOUNDFILE, *BY_FFMPEG]


@pytest.fixture
def noise() -> Samples:
    """Five seconds at 48 kHz that no codec can compress well."""
    return np.random.default_rng(0).uniform(-0.3, 0.3, (240_000, 2)).astype(np.float32)


@pytest.fixture
def made(make: Make, convert: Convert, noise: Samples) -> Make:
    """``made(name)``: the noise as that kind of file."""

    def build(name: str) -> Path:
        if name in BY_SOUNDFILE:
            return make(name, noise, 48_000, **BY_SOUNDFILE[name])
        return convert(name, *BY_FFMPEG[name], source=make("noise.wav", noise, 48_000))

    return build


@pytest.mark.parametrize("missing", [1, 100])
@pytest.mark.parametrize("name", NAMES)
async def test_a_few_bytes_short(name: str, missing: int, made: Make, out: Path) -> None:
    path = made(name)
    os.truncate(path, path.stat().st_size - missing)
    found = await ingest(path, out, LIMITS)
    assert 4.85 < found.samples / found.sample_rate < 5.05
    assert found.warning.startswith(("it ends 0.", "it breaks off")) or name == "a.caf"


@pytest.mark.parametrize("kept", [0.95, 0.3])
@pytest.mark.parametrize("name", NAMES)
async def test_a_real_cut_says_how_much_is_there(
    name: str, kept: float, made: Make, out: Path
) -> None:
    path = made(name)
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(AudioRejected) as caught:
        await ingest(path, out, LIMITS)
    assert caught.value.code == "truncated"
    assert list(out.parent.iterdir()) == []
    there = float(caught.value.reason.split("only the first ")[1].split()[0])
    assert there == pytest.approx(5 * kept, abs=0.55)  # an Ogg has pages of a second
    if name not in ("a.ogg", "a.opus"):  # only their end shows the length
        whole = float(caught.value.reason.split("of ")[1].split()[0])
        assert whole == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus", "a.m4a"])
async def test_nothing_left_but_headers(name: str, made: Make, out: Path) -> None:
    path = made(name)
    os.truncate(path, 1000)
    with pytest.raises(AudioRejected, match=r"none of it can be read|it holds 1,000 of at least"):
        await ingest(path, out, LIMITS)


@pytest.mark.parametrize("kept", [0.5, 0.99])
async def test_an_mp4_whose_index_is_gone_says_how_much_is_there(
    kept: float, convert: Convert, out: Path
) -> None:
    path = convert("a.m4a", "-c:a", "aac")
    size = int(path.stat().st_size * kept)
    os.truncate(path, size)
    with pytest.raises(AudioRejected, match=f"that is cut off: it holds {size:,} of at least "):
        await ingest(path, out, LIMITS)


async def test_a_lost_page_inside_an_ogg(make: Make, noise: Samples, out: Path) -> None:
    path = make("a.ogg", noise, 48_000)
    content = path.read_bytes()
    pages = content.split(b"OggS")
    path.write_bytes(b"OggS".join(pages[:5] + pages[6:]))
    with pytest.raises(AudioRejected, match=r"of 5\.00 seconds only the first 4\."):
        await ingest(path, out, LIMITS)


@pytest.mark.parametrize("stated", ["both", "bytes", "frames", "nothing"])
async def test_a_cut_mp3_is_found_by_its_header(
    stated: str, make: Make, noise: Samples, out: Path
) -> None:
    path = make("a.mp3", noise, 48_000)
    content = path.read_bytes()
    at = content.index(b"Xing")
    flags, frames, length = struct.unpack(">III", content[at + 4 : at + 16])
    assert flags & 3 == 3
    fields = {
        "both": (3, frames, length),
        "bytes": (2, length),
        "frames": (1, frames),
        "nothing": (0,),
    }[stated]
    header = struct.pack(f">{len(fields)}I", *fields).ljust(12, b"\0")
    content = content[: at + 4] + header + content[at + 16 :]
    path.write_bytes(content)
    assert (await ingest(path, out, LIMITS)).warning == ""
    path.write_bytes(content[: len(content) * 2 // 3])
    if stated == "nothing":
        assert (await ingest(path, out, LIMITS)).samples == pytest.approx(160_000, rel=0.05)
    else:
        with pytest.raises(AudioRejected, match=r"of 5\.0\d seconds only the first 3\."):
            await ingest(path, out, LIMITS)


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("where", ["before", "between"])
@pytest.mark.parametrize("name", [b"LIST", b"bext", b"id3 "])
async def test_chunks_of_an_odd_length(
    name: bytes, where: str, padded: bool, make: Make, tone: Samples, out: Path
) -> None:
    path = make("a.wav")
    content = path.read_bytes()
    chunk = name + struct.pack("<I", 7) + b"INFO\1\2$" + b"\0" * padded
    at = 12 if where == "before" else content.index(b"data")
    content = content[:at] + chunk + content[at:]
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:])
    assert await ingest(path, out, LIMITS) == Ingested(44_100, 2, 88_200)


async def test_an_aiff_with_a_chunk_of_an_odd_length_without_its_pad(make: Make, out: Path) -> None:
    path = make("a.aiff")
    content = path.read_bytes()
    path.write_bytes(content[:12] + b"NAME\0\0\0\5title" + content[12:])
    assert await ingest(path, out, LIMITS) == Ingested(44_100, 2, 88_200)


@pytest.mark.parametrize(("name", "header"), [("a.wav", 44), ("a.aiff", 54), ("a.au", 24)])
async def test_a_lone_header_that_states_a_length(
    name: str, header: int, make: Make, out: Path
) -> None:
    path = make(name)
    os.truncate(path, header)
    with pytest.raises(AudioRejected, match="none of it can be read") as caught:
        await ingest(path, out, LIMITS)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (44, "of 4.00 seconds only the first 2.00"),
        (30, "damaged: only the first 2.00 seconds"),
    ],
)
async def test_joined_wavs_of_which_the_second_is_a_header(
    kept: int, message: str, make: Make, out: Path
) -> None:
    path = make("a.wav")
    one = path.read_bytes()
    path.write_bytes(one + one[:kept])
    with pytest.raises(AudioRejected, match=message):
        await ingest(path, out, LIMITS)


@pytest.mark.parametrize("codec", ["libmp3lame", "mp2"])
async def test_mpeg_frames_in_a_wav(codec: str, convert: Convert, out: Path) -> None:
    path = convert("a.wav", "-c:a", codec)
    assert (await ingest(path, out, LIMITS)).warning == ""
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(AudioRejected, match=r"of \d\.\d\d seconds only the first (0\.9|1\.0)"):
        await ingest(path, out, LIMITS)


@pytest.mark.parametrize(
    "behind", [b"free" + struct.pack(">q", 4096) + bytes(100), b"\1\2\3\4" + b"\5" * 40]
)
async def test_what_follows_the_sound_of_a_caf_is_no_cut(
    behind: bytes, convert: Convert, out: Path
) -> None:
    path = convert("a.caf")
    path.write_bytes(path.read_bytes() + behind)
    assert await ingest(path, out, LIMITS) == Ingested(44_100, 2, 88_200)


async def test_a_caf_whose_sound_states_no_length(convert: Convert, out: Path) -> None:
    path = convert("a.caf")
    content = path.read_bytes()
    at = content.index(b"data") + 4
    for length in (0, -1):
        path.write_bytes(content[:at] + struct.pack(">q", length) + content[at + 8 :])
        assert (await ingest(path, out, LIMITS)).warning == ""


async def test_a_caf_that_is_cut_before_its_first_sample(convert: Convert, out: Path) -> None:
    path = convert("a.caf")
    size = path.read_bytes().index(b"data") + 12
    os.truncate(path, size)
    with pytest.raises(AudioRejected, match=f"cut off: it holds {size} of at least 352,"):
        await ingest(path, out, LIMITS)


@pytest.mark.parametrize("between", [b"", b"junk" * 10])
@pytest.mark.parametrize("kept", [40, 100])
async def test_joined_oggs_of_which_the_last_is_cut_in_its_header(
    kept: int, between: bytes, make: Make, out: Path
) -> None:
    path = make("a.ogg")
    one = path.read_bytes()
    path.write_bytes(one * 3 + between + one[:kept])
    with pytest.raises(AudioRejected, match=r"only the first 6\.00 seconds"):
        await ingest(path, out, LIMITS)


@pytest.mark.parametrize("behind", [b"xxOggSxx", bytes(70_000)])
async def test_what_follows_an_ogg_is_no_cut(behind: bytes, make: Make, out: Path) -> None:
    path = make("a.ogg")
    path.write_bytes(path.read_bytes() + behind)
    assert await ingest(path, out, LIMITS) == Ingested(44_100, 2, 88_200)


async def test_zeros_behind_an_ogg_flac_are_no_cut(convert: Convert, out: Path) -> None:
    path = convert("a.oga", "-c:a", "flac")
    path.write_bytes(path.read_bytes() + bytes(70_000))
    assert (await ingest(path, out, LIMITS)).samples == 88_200
    os.truncate(path, path.stat().st_size - 73_000)
    with pytest.raises(AudioRejected, match="only the first"):
        await ingest(path, out, LIMITS)


@pytest.mark.parametrize("missing", [1, 300, 2_000])
def test_the_shortened_page_of_an_ogg_is_as_another_program_writes_it(
    missing: int, noise: Samples, make: Make
) -> None:
    path = make("a.ogg", noise, 48_000)
    path.write_bytes(path.read_bytes()[:-missing])
    with path.open("rb") as file:
        rest = find_layout(file.fileno(), "ogg", 0).streams[-1][-1]
    assert isinstance(rest, bytes)
    page: Any = OggPage(io.BytesIO(rest))  # type: ignore[no-untyped-call]
    assert page.packets and page.complete and page.last
    assert page.write() == rest


def test_no_part_of_an_ogg_ends_before_it_begins(make: Make) -> None:
    path = make("a.ogg")
    one = path.read_bytes()
    last = bytearray(one[:40])
    last[5] |= LAST
    last[6:14] = struct.pack("<q", 1000)
    path.write_bytes(one + b"junk" * 10 + last)
    with path.open("rb") as file:
        layout = find_layout(file.fileno(), "ogg", 0)
    parts = [part for link in layout.streams for part in link if not isinstance(part, bytes)]
    assert all(start < end for start, end in parts)


@pytest.mark.parametrize(
    "tags",
    [
        b"TAG" + bytes(125),
        b"LYRICSBEGINla la la000019LYRICS200" + b"TAG" + bytes(125),
        b"ID3\4\0\x10\0\0\0\5hello3DI\4\0\x10\0\0\0\5",
        b"x" * 1968 + b"APETAGEX" + struct.pack("<IIII", 2000, 2000, 1, 0) + bytes(8),
    ],
)
def test_tags_are_found_from_the_end_of_a_file(tags: bytes, make: Make) -> None:
    path = make("a.wav")
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + tags)
    with path.open("rb") as file:
        assert end_before_tags(file.fileno()) == size
