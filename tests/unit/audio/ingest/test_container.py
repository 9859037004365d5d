"""Kinds of files are recognised by their first bytes, whatever their names are."""

import os
from pathlib import Path

import pytest

from acestep_ray.audio.ingest.container import Container, Foreign, Kind, identify, other_kind
from tests.unit.audio.conftest import Convert, Make

ID3 = b"ID3\x04\0\0" + bytes([0, 0, 2, 10]) + b"x" * (2 * 128 + 10)


def _identify(path: Path) -> Container | None:
    file = os.open(path, os.O_RDONLY)
    try:
        return identify(file)
    finally:
        os.close(file)


def _other(content: bytes, tmp_path: Path) -> str | None:
    (tmp_path / "file").write_bytes(content)
    assert _identify(tmp_path / "file") is None
    file = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        return other_kind(file)
    finally:
        os.close(file)


BY_SOUNDFILE: dict[str, tuple[Kind | Foreign, dict[str, str]]] = {
    "a.wav": ("wav", {}),
    "big.wav": ("wav", {"format": "WAV", "endian": "BIG"}),
    "ex.wav": ("wav", {"format": "WAVEX"}),
    "r.wav": ("wav", {"format": "RF64"}),
    "a.w64": ("w64", {}),
    "a.aiff": ("aiff", {}),
    "a.au": ("au", {}),
    "a.flac": ("flac", {}),
    "a.ogg": ("ogg", {}),
    "a.opus": ("ogg", {"format": "OGG", "subtype": "OPUS"}),
    "a.mp3": ("mp3", {}),
    "a.caf": ("caf", {}),
}


@pytest.mark.parametrize("name", BY_SOUNDFILE)
def test_kinds_are_recognised_by_their_bytes(name: str, make: Make, tmp_path: Path) -> None:
    kind, how = BY_SOUNDFILE[name]
    path = make(name, **how).rename(tmp_path / "renamed.txt")
    assert _identify(path) == Container(kind)
    if kind != "caf":
        path.write_bytes(ID3 + path.read_bytes())
        assert _identify(path) == Container(kind, len(ID3))


@pytest.mark.parametrize(
    ("name", "kind", "arguments"),
    [
        ("a.m4a", "mp4", []),
        ("a.mov", "mp4", []),
        ("a.3gp", "mp4", ["-c:a", "aac"]),
        ("a.aac", "aac", []),
        ("a.webm", "matroska", []),
        ("a.mka", "matroska", []),
        ("a.oga", "ogg_other", ["-c:a", "flac"]),
        ("a.spx", "ogg_other", ["-c:a", "libspeex", "-ar", "32000", "-f", "ogg"]),
        ("a.mp2", "mp3", []),
        ("low.mp3", "mp3", ["-ar", "11025", "-b:a", "8k"]),
        ("mono.mp3", "mp3", ["-ac", "1", "-ar", "22050"]),
    ],
)
def test_kinds_of_files_that_ffmpeg_makes(
    name: str, kind: Kind | Foreign, arguments: list[str], convert: Convert, tmp_path: Path
) -> None:
    path = convert(name, *arguments).rename(tmp_path / "song.mp3")
    found = _identify(path)
    assert found
    assert found.kind == kind


def test_old_quicktime_begins_with_other_boxes(tmp_path: Path) -> None:
    for box in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        (tmp_path / "file").write_bytes(b"\0\0\0\x08" + box)
        assert _identify(tmp_path / "file") == Container("mp4")


@pytest.mark.parametrize("name", ["a.mp3", "a.aac"])
@pytest.mark.parametrize("before", [b"\0" * 3000, b"rest of a frame \xff\xfb\x90" * 20])
def test_frames_are_found_behind_padding_and_rests(
    name: str, before: bytes, convert: Convert
) -> None:
    path = convert(name, *(["-id3v2_version", "0"] if name == "a.mp3" else []))
    path.write_bytes(before + path.read_bytes())
    found = _identify(path)
    assert found == Container("mp3" if name == "a.mp3" else "aac", len(before))


def test_an_mp3_of_a_few_frames(make: Make, tmp_path: Path) -> None:
    path = make("a.mp3")
    path.write_bytes(path.read_bytes()[:900])
    assert _identify(path) == Container("mp3")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"R",
        b"RIFF",
        b"plain text, called .mp3\n" * 100,
        "plain text, but in UTF-16\n".encode("utf-16") * 1000,
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"ID3\x04\0\0\0\0\0\x05hello and then text",
        b"\0" * 70_000,
        b"\xff" * 100,
        b"\xff" * 100_000,
        b"\xff\xfb\x90\x64" + b"\0" * 10_000,
    ],
)
def test_what_is_no_audio(content: bytes, tmp_path: Path) -> None:
    assert _other(content, tmp_path) is None


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html></html>", "a web page (HTML)"),
        (b"<html><title>404</title>", "a web page (HTML)"),
        (b'{"error": "no such file"}', "JSON text"),
        (b"PK\x03\x04" + b"\0" * 100, "a ZIP archive"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, "a picture"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"RIFF\x10\0\0\0AVI LIST", "an AVI video"),
        (b"#EXTM3U\nfile:///etc/passwd\n", "a playlist"),
        (b"MThd\0\0\0\6\0\1", "MIDI, which holds notes and no sound"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA or another Windows Media file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not its file"),
        (b"\x47" + bytes(187) + b"\x47", "an MPEG transport stream"),
        (
            b"\x1f\x43\xb6\x75\x01" + bytes(50),
            "a piece of a WebM recording, and its first piece must stand before it",
        ),
        (
            b"\0\0\0\x40moof" + bytes(50),
            "a piece of an MP4 stream, and its first piece must stand before it",
        ),
        (
            b"\x43\xc3\x81\x13" + bytes(81_157) + b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm",
            "a WebM recording whose pieces were joined in the wrong order",
        ),
        (ID3 + b"MAC \x96\x0f", "Monkey's Audio"),
    ],
)
def test_what_it_is_instead_is_named(content: bytes, name: str, tmp_path: Path) -> None:
    assert _other(content, tmp_path) == name
