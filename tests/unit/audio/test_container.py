"""What libsndfile takes in silence: cut files, streamed WAVs, and things that are no audio."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from acestep_ray.audio.container import Container, Kind, identify
from acestep_ray.decoder.protocol import Samples

Make = Callable[..., Path]


def _identify(path: Path) -> Container | None:
    file = os.open(path, os.O_RDONLY)
    try:
        return identify(file)
    finally:
        os.close(file)


def _kind(path: Path) -> str | None:
    found = _identify(path)
    return found.kind if found else None


FILES: dict[str, tuple[Kind, dict[str, str]]] = {
    "a.wav": ("wav", {}),
    "float.wav": ("wav", {"subtype": "FLOAT"}),
    "ex.wav": ("wav", {"format": "WAVEX"}),
    "r.wav": ("wav", {"format": "RF64"}),
    "a.aiff": ("aiff", {}),
    "a.flac": ("flac", {}),
    "a.ogg": ("ogg", {}),
    "a.opus": ("ogg", {"format": "OGG", "subtype": "OPUS"}),
    "a.mp3": ("mp3", {}),
}
WITH_A_LENGTH = [name for name, (kind, _) in FILES.items() if kind in ("wav", "aiff", "ogg")]


@pytest.mark.parametrize("name", FILES)
def test_kinds_are_told_by_their_bytes(name: str, make: Make, tmp_path: Path) -> None:
    kind, how = FILES[name]
    path = make(name, **how).rename(tmp_path / "renamed.txt")
    assert _identify(path) == Container(kind)


@pytest.mark.parametrize("name", ["a.mp3", "a.flac"])
def test_an_id3_tag_and_padding_in_front_are_passed_over(name: str, make: Make) -> None:
    path = make(name)
    tag = b"ID3\x04\0\0" + bytes([0, 0, 2, 10]) + b"x" * (2 * 128 + 10)
    path.write_bytes(tag + path.read_bytes())
    assert _kind(path) == FILES[name][0]
    if name == "a.mp3":
        path.write_bytes(b"\0" * 3000 + path.read_bytes()[len(tag) :])
        assert _kind(path) == "mp3"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"R",
        b"RIFF",
        b"plain text, called .mp3\n" * 100,
        b"<!DOCTYPE html><html></html>",
        b"PK\x03\x04" + b"\0" * 100,
        b"%PDF-1.7\n",
        b"\xff\xd8\xff\xe0" + b"\0" * 100,
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x10\0\0\0AVI LIST",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"ID3\x04\0\0\0\0\0\x05hello and then text",
        b"\0" * 70_000,
        b"\xff" * 100,
    ],
)
def test_what_is_no_audio(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert _identify(tmp_path / "file") is None


def test_mp4_and_aac(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0")
    assert _kind(tmp_path / "file") == "mp4"
    (tmp_path / "file").write_bytes(b"\xff\xf1\x50\x80" + b"\0" * 100)
    assert _kind(tmp_path / "file") == "aac"


@pytest.mark.parametrize("name", WITH_A_LENGTH)
@pytest.mark.parametrize("missing", [1, 1000, 0.5, 0.9])
def test_a_cut_file_is_told(name: str, missing: float, make: Make) -> None:
    path = make(name, **FILES[name][1])
    size = path.stat().st_size
    os.truncate(path, int(size - missing if missing >= 1 else size * (1 - missing)))
    found = _identify(path)
    assert found is not None
    assert found.cut


@pytest.mark.parametrize("name", WITH_A_LENGTH)
def test_more_after_the_end_is_no_harm(name: str, make: Make) -> None:
    path = make(name, **FILES[name][1])
    with path.open("ab") as file:
        file.write(b"LIST" + struct.pack("<I", 4) + b"INFO")
    found = _identify(path)
    assert found is not None
    assert not found.cut


def _with_lengths(path: Path, whole: int, data: int) -> int:
    """Overwrite the two lengths of a WAV; answers where the second lies."""
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[4:8] = struct.pack("<I", whole)
    content[at : at + 4] = struct.pack("<I", data)
    path.write_bytes(content)
    return at


@pytest.mark.parametrize(
    ("whole", "data"), [(0xFFFF_FFFF, 0xFFFF_FFFF), (0x7FFF_F024, 0x7FFF_F000)]
)
def test_a_streamed_wav_is_not_cut(whole: int, data: int, make: Make) -> None:
    path = make("a.wav")
    _with_lengths(path, whole, data)
    assert _identify(path) == Container("wav")


@pytest.mark.parametrize("whole", [0, 0xFFFF_FFFF, 36])
def test_a_wav_whose_writer_never_came_back_gets_its_length(whole: int, make: Make) -> None:
    path = make("a.wav")
    size = path.stat().st_size
    at = _with_lengths(path, whole, 0)
    assert _identify(path) == Container("wav", patch=(at, struct.pack("<I", size - at - 4)))


def test_an_empty_wav_is_not_taken_for_a_streamed_one(make: Make) -> None:
    path = make("a.wav")
    header = path.read_bytes().index(b"data") + 8
    with path.open("r+b") as file:
        file.truncate(header)
    _with_lengths(path, header - 8, 0)
    assert _identify(path) == Container("wav")
    with path.open("ab") as file:
        file.write(b"LIST" + struct.pack("<I", 4) + b"INFO")
    _with_lengths(path, header + 12 - 8, 0)
    assert _identify(path) == Container("wav")


def test_a_file_of_nothing_but_chunks_ends(tmp_path: Path) -> None:
    """Twelve million empty chunks fit into an upload; walking them all would take minutes."""
    path = tmp_path / "chunks.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 100_000)
    assert _identify(path) == Container("wav")


RATES_AND_CHANNELS = [(44_100, 2), (44_100, 1), (22_050, 2), (22_050, 1)]


def _noise(seconds: float, rate: int, channels: int) -> Samples:
    size = (round(seconds * rate), channels)
    return np.random.default_rng(0).uniform(-0.3, 0.3, size).astype(np.float32)


def _lengths(path: Path, flags: int, frames: int, length: int) -> None:
    """Overwrite what an MP3's Xing header tells."""
    content = bytearray(path.read_bytes())
    at = content.index(b"Xing")
    values = [v for flag, v in ((1, frames), (2, length)) if flags & flag]
    words = struct.pack(f">{1 + len(values)}I", flags, *values)
    content[at + 4 : at + 4 + len(words)] = words
    path.write_bytes(content)


@pytest.mark.parametrize(("rate", "channels"), RATES_AND_CHANNELS)
@pytest.mark.parametrize("tag", [b"", b"ID3\x04\0\0\0\0\0\x05hello"])
def test_a_cut_mp3_is_told_by_its_bytes(rate: int, channels: int, tag: bytes, make: Make) -> None:
    path = make("a.mp3", _noise(10, rate, channels), rate)
    whole = path.read_bytes()
    for missing, trailer in ((0, b""), (100, b""), (0, b"TAG" + b"\0" * 125)):
        path.write_bytes(tag + whole[: len(whole) - missing] + trailer)
        assert _identify(path) == Container("mp3")
    for kept in (0.05, 0.5, 0.9):
        path.write_bytes(tag + whole[: int(len(whole) * kept)])
        assert _identify(path) == Container("mp3", cut=True)


@pytest.mark.parametrize(("rate", "channels"), RATES_AND_CHANNELS)
def test_an_mp3_that_tells_only_its_frames(rate: int, channels: int, make: Make) -> None:
    path = make("a.mp3", _noise(10, rate, channels), rate)
    _lengths(path, 1, 500, 0)
    samples = 500 * (1152 if rate == 44_100 else 576) - 8 * 1152
    assert _identify(path) == Container("mp3", samples=samples)
    _lengths(path, 3, 0, 0)  # never told: its writer could not go back
    assert _identify(path) == Container("mp3")


@pytest.mark.parametrize(("bytes_told", "cut"), [(20_000, False), (90_000, True), (0, False)])
def test_vbri(bytes_told: int, cut: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    head = b"\xff\xfb\x90\x00" + b"\0" * 32 + b"VBRI" + b"\0" * 6
    path.write_bytes((head + struct.pack(">II", bytes_told, 100)).ljust(20_000, b"\0"))
    told = 0 if bytes_told else 100 * 1152 - 8 * 1152
    assert _identify(path) == Container("mp3", cut=cut, samples=told)
    path.write_bytes(head[:38])
    assert _kind(path) == "mp3"


def test_an_mp3_without_a_length_header_is_told(make: Make) -> None:
    path = make("a.mp3")
    content = path.read_bytes()
    for tag in (b"Xing", b"Info"):
        content = content.replace(tag, b"\0\0\0\0")
    path.write_bytes(content)
    assert _identify(path) == Container("mp3", has_length=False)
