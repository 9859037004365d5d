"""Which kind of audio file this is, from its first bytes alone. Nothing is decoded."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from acestep_ray.audio.ingest.layout.mp3 import FRAMES_IN_A_ROW, kind_of, parse
from acestep_ray.audio.ingest.layout.ogg import FIRST, pages
from acestep_ray.audio.ingest.layout.parts import Window
from acestep_ray.audio.ingest.layout.tags import MOST_TAGS, id3_length
from acestep_ray.audio.ingest.layout.wav import is_wav

Kind = Literal["wav", "w64", "aiff", "au", "flac", "ogg", "mp3"]
"""Decoded by libsndfile."""
Foreign = Literal["mp4", "aac", "caf", "matroska", "amr", "ogg_other"]
"""Decoded by ffmpeg, if it is installed."""

HEAD = 65_536
MOST_SEARCHED = 1 << 20
ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""The first bytes of an MP4 or QuickTime file, after a length of four bytes."""
EBML = b"\x1a\x45\xdf\xa3"
W64_NAME = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
OGG_CODECS = (b"\x01vorbis", b"OpusHead")
"""The formats that libsndfile decodes."""
OTHERS = {
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11": "WMA or another Windows Media file",
    b"MThd": "MIDI, which holds notes and no sound",
    b"wvpk": "WavPack",
    b"MAC ": "Monkey's Audio",
    b"TTA1": "TTA",
    b"MPCK": "Musepack",
    b"MP+": "Musepack",
    b"DSD ": "DSF",
    b"FRM8": "DSDIFF",
    b".RMF": "RealAudio",
    b"\x0b\x77": "AC-3",
    b"\x7f\xfe\x80\x01": "DTS",
    b"FLV": "Flash video",
    b"\x00\x00\x01\xba": "an MPEG program stream",
    b"\x1f\x43\xb6\x75": "a piece of a WebM recording, and its first piece must stand before it",
    b"#EXTM3U": "a playlist",
    b"[playlist]": "a playlist",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"GIF8": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"version https://git-lfs": "a Git LFS pointer, not its file",
}


@dataclass(frozen=True)
class Container:
    """``start``: where the file itself begins; tags may be before it."""

    kind: Kind | Foreign
    start: int = 0


def identify(file: int) -> Container | None:
    """The container of the open regular ``file``; None if its kind is unknown. Blocking."""
    start = _after_tags(file)
    head = os.pread(file, HEAD, start)
    kind = _kind(head)
    if kind == "ogg" and not _is_plain_ogg(file, start):
        kind = "ogg_other"
    if kind:
        return Container(kind, start)
    return _frames(head, start)


def other_kind(file: int) -> str | None:
    """What the file is instead: the end of the sentence "The file is ..."; None if unknown."""
    head = os.pread(file, MOST_SEARCHED, _after_tags(file))
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "an AVI video"
    if head[4:8] in (b"moof", b"styp", b"sidx"):
        return "a piece of an MP4 stream, and its first piece must stand before it"
    if head[:1] == b"\x47" and head[188:189] == b"\x47":
        return "an MPEG transport stream"
    if (at := head.find(EBML)) > 0 and b"webm" in head[at : at + 64]:
        return "a WebM recording whose pieces were joined in the wrong order"
    text = head[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if text.startswith(b'{"'):
        return "JSON text"
    return next((name for magic, name in OTHERS.items() if head.startswith(magic)), None)


def _kind(head: bytes) -> Kind | Foreign | None:
    kind: Kind | Foreign | None = None
    if is_wav(head):
        kind = "wav"
    elif head[:16] == W64_NAME:
        kind = "w64"
    elif head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        kind = "aiff"
    elif head[:4] == b".snd":
        kind = "au"
    elif head[:4] == b"fLaC":
        kind = "flac"
    elif head[:4] == b"OggS":
        kind = "ogg"
    elif head[4:8] in ATOMS:
        kind = "mp4"
    elif head[:4] == b"caff":
        kind = "caf"
    elif head[:4] == EBML:
        kind = "matroska"
    elif head.startswith((b"#!AMR\n", b"#!AMR-WB\n")):
        kind = "amr"
    return kind


def _after_tags(file: int) -> int:
    """Where the file continues after ID3v2 tags; some programs write several of them."""
    at = 0
    for _ in range(MOST_TAGS):
        head = os.pread(file, 10, at)
        if len(head) < 10 or head[:3] != b"ID3":
            break
        at += id3_length(head)
    return at


def _is_plain_ogg(file: int, start: int) -> bool:
    """Whether it is a single stream, of a codec that libsndfile decodes."""
    window = Window(file)
    codecs = []
    for page in pages(window, start, start + HEAD):
        if not page.flags & FIRST:
            break
        codecs.append(window.read(page.start + 27 + len(page.lacing), 8))
    return len(codecs) == 1 and codecs[0].startswith(OGG_CODECS)


Measure = Callable[[bytes], tuple[int, int] | None]
"""From a frame's first bytes: its length (0 if unknown), and what all frames of a file share."""


def _frames(head: bytes, start: int) -> Container | None:
    """An AAC or MP3 stream. It begins with a frame: at the front, after padding, or after the rest
    of a frame that was cut in the middle. The frames must follow one another."""
    at = head.find(b"\xff")
    while at >= 0:
        if _follow(head, at, _adts):
            return Container("aac", start + at)
        if _follow(head, at, _mpeg):
            return Container("mp3", start + at)
        at = head.find(b"\xff", at + 1)
    return None


def _follow(head: bytes, at: int, measure: Measure) -> bool:
    """Whether frames follow one another from ``at``; at the front, one or two may be all."""
    front = not head[:at].strip(b"\0")
    kind = None
    for _ in range(FRAMES_IN_A_ROW):
        if at > len(head) - 8:
            return front and kind is not None and len(head) < HEAD
        found = measure(head[at : at + 8])
        if not found or kind not in (None, found[1]):
            return False
        length, kind = found
        if not length:
            return front
        at += length
    return True


def _mpeg(head: bytes) -> tuple[int, int] | None:
    frame = parse(head[:4])
    return (frame.length, kind_of(head[:4])) if frame else None


def _adts(head: bytes) -> tuple[int, int] | None:
    """Of AAC with ADTS headers: 12 bits of sync, a layer of 0, and 13 bits of length."""
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return (length, head[2] & 0xFC) if length > 7 else None
