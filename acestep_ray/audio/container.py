"""What kind of audio file this is, and whether it is all there, from its bytes alone.

Plain Python over ``pread``: nothing here decodes. It looks at what libsndfile takes in silence: a
WAV or AIFF whose header promises more sound than the file holds, an Ogg file that ends inside a
page, an MP3 shorter than its Xing, Info or VBRI header says, a WAV that was streamed and never told
its length.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["wav", "aiff", "flac", "ogg", "mp3", "mp4", "aac"]

HEAD = 65_536
MOST_CHUNKS = 1_000
STREAMED = 0x7FFF_0000
"""A length from here on says "until the end": 0xFFFFFFFF from ffmpeg, 0x7FFFF000 from SoX."""


@dataclass(frozen=True)
class Container:
    """``cut``: it ends before its own header says so. ``patch``: (offset, bytes) that must stand
    in the file for libsndfile to read it whole. ``has_length``: for an mp3, whether it has the
    header that tells its number of frames. ``samples``: for an mp3 whose header tells frames but no
    bytes, how many samples a channel must come of it at least."""

    kind: Kind
    cut: bool = False
    patch: tuple[int, bytes] | None = None
    has_length: bool = True
    samples: int = 0


def identify(file: int) -> Container | None:
    """Look at the open regular ``file``; None where it is no audio that we know. Blocking."""
    size = os.fstat(file).st_size
    start = _after_id3(file)
    head = os.pread(file, HEAD, start)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _wav(file, size)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, size)
    if head[:4] == b"fLaC":
        return Container("flac")
    if head[:4] == b"OggS":
        return Container("ogg", cut=_ogg_is_cut(file, size))
    if head[4:8] == b"ftyp":
        return Container("mp4")
    frame = head.lstrip(b"\0")  # some encoders pad an mp3's front
    if len(frame) < 4 or frame[0] != 0xFF:
        return None
    if frame[1] & 0xF6 == 0xF0:
        return Container("aac")
    if frame[1] & 0xE0 == 0xE0 and frame[1] & 0x06 and frame[2] & 0xF0 != 0xF0:
        return _mp3(frame[:2048], size - start - (len(head) - len(frame)))
    return None


LENGTH_HEADERS = (b"Xing", b"Info", b"VBRI")
SPARE_BYTES = 4096
"""Two frames of the largest kind: what an MP3 may be short of before it counts as cut off."""
SPARE_SAMPLES = 8 * 1152
"""What a decoder may leave out at both ends: the delay and the padding that the header names."""


def _after_id3(file: int) -> int:
    """Where the file goes on after an ID3v2 tag."""
    head = os.pread(file, 10, 0)
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]  # seven bits a byte
    return 10 + length + (10 if head[5] & 0x10 else 0)


def _chunks(file: int, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its content starts, how long it says it is) of each chunk in a RIFF or FORM."""
    at = 12
    for _ in range(MOST_CHUNKS):
        head = os.pread(file, 8, at)
        if len(head) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", head)
        yield name, at + 8, length
        at += 8 + length + length % 2


def _wav(file: int, size: int) -> Container:
    whole = int.from_bytes(os.pread(file, 4, 4), "little")
    long_length: int | None = None
    for name, start, length in _chunks(file, size, "<"):
        if name == b"ds64" and length >= 16:
            long_length = int.from_bytes(os.pread(file, 8, start + 8), "little")
        if name != b"data":
            continue
        if length == 0xFFFF_FFFF and long_length is not None:
            return Container("wav", cut=start + long_length > size)
        if length == 0 and size > start and whole + 8 != size:
            # Its writer could not go back to tell the length: all that follows is sound.
            rest = min(size - start, 0xFFFF_FFFF).to_bytes(4, "little")
            return Container("wav", patch=(start - 4, rest))
        return Container("wav", cut=length < STREAMED and start + length > size)
    return Container("wav", cut=whole < STREAMED and whole + 8 > size)


def _mp3(frame: bytes, size: int) -> Container:
    """``frame``: how the first frame begins, ``size``: bytes of the file from there on.

    The lengths stand at a fixed place of the first frame: big-endian, and in a Xing header behind a
    flag each (1: frames, 2: bytes). 0 is written by who could not go back to tell.
    """
    newest = frame[1] & 0x18 == 0x18  # MPEG 1; else 2 or 2.5, with frames of half the samples
    mono = frame[3] & 0xC0 == 0xC0
    sides = {True: (32, 17), False: (17, 9)}[newest][mono]
    frames, length = 0, 0
    if frame[36:40] == b"VBRI":
        length, frames = struct.unpack(">II", frame[46:54].ljust(8, b"\0"))
    for at in (4 + sides, 6 + sides):  # two bytes on where the frame has a checksum
        if frame[at : at + 4] in (b"Xing", b"Info"):
            flags, *values = struct.unpack(">III", frame[at + 4 : at + 16].ljust(12, b"\0"))
            frames = values.pop(0) if flags & 1 else 0
            length = values.pop(0) if flags & 2 else 0
    return Container(
        "mp3",
        cut=length > size + SPARE_BYTES,
        has_length=any(tag in frame for tag in LENGTH_HEADERS),
        samples=0 if length else max(0, frames * (1152 if newest else 576) - SPARE_SAMPLES),
    )


def _aiff(file: int, size: int) -> Container:
    for name, start, length in _chunks(file, size, ">"):
        if name == b"SSND":
            return Container("aiff", cut=length < STREAMED and start + length > size)
    whole = int.from_bytes(os.pread(file, 4, 4), "big")
    return Container("aiff", cut=whole < STREAMED and whole + 8 > size)


def _ogg_is_cut(file: int, size: int) -> bool:
    """Whether the last page goes beyond the file. A page is at most 65,307 bytes long."""
    tail_at = max(0, size - 65_307)
    tail = os.pread(file, size - tail_at, tail_at)
    last = tail.rfind(b"OggS")
    if last < 0:
        return True
    page = tail[last:]
    if len(page) < 27:
        return True
    segments = page[27 : 27 + page[26]]
    return len(segments) < page[26] or 27 + len(segments) + sum(segments) > len(page)
