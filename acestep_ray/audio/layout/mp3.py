"""MP3 (and MP1, MP2): its frames, counted.

libsndfile believes the number of frames that a Xing, Info or VBRI header names, and without one it
takes the first frame's bit rate for all; either way it can stop in the middle. So the frames are
counted here, and it is given a header with their true number. What lies between frames (the tags of
a file that was joined to another, damage) is left out.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from acestep_ray.audio.layout.parts import Layout, Malformed, Part, Window

SAME = 0xFFFE_0C00
"""Bits of a header that all frames of a file share: version, layer, sample rate."""
MOST_RUNS = 1_000
MOST_JUNK = 1 << 17
"""Bytes that are searched for the next frame."""
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
KBPS = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By version (1, or 2 and 2.5) and layer."""
SPARE_SAMPLES = 8 * 1152
"""What a decoder may leave out at both ends: the delay and the padding that the header names."""


@dataclass(frozen=True)
class Frame:
    """A frame's header. ``length``: of the whole frame in bytes, 0 where only the next frame's
    place tells it (free format). ``info_at``: where in a layer 3 frame without a checksum a Xing
    or Info header stands."""

    length: int
    samples: int
    layer: int
    info_at: int


@lru_cache(4096)
def parse(head: bytes) -> Frame | None:
    """What the four bytes say; None where they begin no frame."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    kbps, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or kbps == 15 or rate == 3:
        return None
    newest, mono = version == 3, head[3] & 0xC0 == 0xC0
    hertz = RATES[version][rate]
    bits = 1000 * KBPS[1 if newest else 2, layer][kbps]
    samples = 384 if layer == 1 else 1152 if layer == 2 or newest else 576
    slots = samples // 8 * bits // hertz + padding if layer > 1 else 12 * bits // hertz + padding
    return Frame(
        length=0 if not bits else slots * 4 if layer == 1 else slots,
        samples=samples,
        layer=layer,
        info_at=4 + ((17 if mono else 32) if newest else (9 if mono else 17)),
    )


def mp3(file: int, start: int, end: int) -> Layout:
    """Of the file from ``start``, where a frame begins, to ``end``. Raises Malformed."""
    window = Window(file)
    head = window.read(start, 2048)
    first = parse(head[:4])
    if first is None:
        raise Malformed("The file is not audio that can be read.")
    if not first.length:
        return Layout([[(start, end)]])
    named = _named(head, first)
    runs = list(_runs(window, start, end))
    frames = sum(run.frames for run in runs) - (named is not None)
    if frames < 1:
        raise Malformed("The MP3 is cut off in its first frame.")
    held = runs[-1].end - start
    return Layout(
        [_with_number(window.read(start, first.length), first, named, frames, runs)],
        missing=named.missing(frames, held) * first.samples if named else 0,
        least=max(0, frames * first.samples - SPARE_SAMPLES),
        damaged=any(run.after_junk for run in runs),
    )


@dataclass(frozen=True)
class _Named:
    """What a Xing, Info or VBRI header tells; 0 where it does not, or its writer could not go back
    to tell. ``frames_at``: where the number of frames stands in a Xing or Info header."""

    frames: int
    bytes: int
    frames_at: int

    def missing(self, frames: int, held: int) -> int:
        """The frames that it names beyond those that were found.

        A file that was cut lacks frames and bytes; where one of both numbers is there, the other is
        wrong. Some writers count the frame that holds the header too.
        """
        lacks_bytes = self.bytes > held
        if not self.frames:
            return frames * (self.bytes - held) // held if lacks_bytes else 0
        lacks_frames = self.frames > frames + (0 if self.bytes else 1)
        if not lacks_frames or (self.bytes and not lacks_bytes):
            return 0
        return self.frames - frames


def _named(head: bytes, first: Frame) -> _Named | None:
    """The lengths stand at a fixed place of the first frame: big-endian, and in a Xing header
    behind a flag each (1: frames, 2: bytes)."""
    if first.layer != 3:
        return None
    if head[36:40] == b"VBRI":
        length, frames = struct.unpack(">II", head[46:54].ljust(8, b"\0"))
        return _Named(frames, length, 0)
    for at in (first.info_at, first.info_at + 2):  # two bytes on where the frame has a checksum
        if head[at : at + 4] in (b"Xing", b"Info"):
            flags, *values = struct.unpack(">III", head[at + 4 : at + 16].ljust(12, b"\0"))
            frames = values.pop(0) if flags & 1 else 0
            return _Named(frames, values.pop(0) if flags & 2 else 0, at + 8 if flags & 1 else 0)
    return None


@dataclass(frozen=True)
class _Run:
    """Frames without a gap. ``after_junk``: what stands before it is no tag."""

    start: int
    end: int
    frames: int
    after_junk: bool


def _runs(window: Window, start: int, end: int) -> Iterator[_Run]:
    """The whole frames from ``start`` to ``end`` that belong together."""
    kind = kind_of(window.read(start, 4))
    at, junk = start, False
    for _ in range(MOST_RUNS):
        begin, frames = at, 0
        while True:
            head = window.read(at, 4)
            frame = parse(head)
            if not frame or not frame.length or kind_of(head) != kind or at + frame.length > end:
                break
            frames += 1
            at += frame.length
        if frames:
            yield _Run(begin, at, frames, junk)
        tag = _tag(window.read(at, 32))
        junk = not tag
        at = at + tag if tag else _next(window, at + 1, end, kind)
        if at < 0 or at >= end:
            return
    raise Malformed("The MP3 is damaged inside.")


def kind_of(head: bytes) -> int:
    """What all frames of a file share, of a header's four bytes."""
    return int.from_bytes(head, "big") & SAME


def _tag(head: bytes) -> int:
    """How long the tag is that begins so; 0 where it is none."""
    if head[:3] == b"ID3" and len(head) >= 10:
        return id3_length(head)
    if head[:3] == b"TAG":
        return 128
    if head[:8] == b"APETAGEX" and len(head) >= 32:
        at_front = head[23] & 0x20  # else it is a footer, whose content is behind us
        return 32 + (int.from_bytes(head[12:16], "little") if at_front else 0)
    return 0


def id3_length(head: bytes) -> int:
    """Of an ID3v2 tag, from its first ten bytes."""
    length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]  # seven bits a byte
    return 10 + length + (10 if head[5] & 0x10 else 0)


def _next(window: Window, at: int, end: int, kind: int) -> int:
    """Where the next two frames of ``kind`` begin; -1 where there are none."""
    last = min(end, at + MOST_JUNK)
    while (at := window.find(b"\xff", at, last)) >= 0:
        head = window.read(at, 4)
        frame = parse(head)
        if frame and frame.length and kind_of(head) == kind:
            after = window.read(at + frame.length, 4)
            if at + frame.length == end or (parse(after) and kind_of(after) == kind):
                return at
        at += 1
    return -1


def _with_number(
    whole: bytes, first: Frame, named: _Named | None, frames: int, runs: list[_Run]
) -> list[Part]:
    """The frames behind a header that has their number. ``whole``: the first frame."""
    parts: list[Part] = [(run.start, run.end) for run in runs]
    if first.layer != 3:
        return parts
    number = struct.pack(">I", min(frames, 0xFFFF_FFFF))
    if named:
        parts[0] = (runs[0].start + len(whole), runs[0].end)
    if named and named.frames_at:
        at = named.frames_at
        return [whole[:at] + number + whole[at + 4 :], *parts]
    for kbps in range(1, 15):
        head = bytes((0xFF, whole[1] | 1, kbps << 4 | whole[2] & 0x0C, whole[3]))
        frame = parse(head)
        if frame and frame.length >= frame.info_at + 12:
            info = head.ljust(frame.info_at, b"\0") + b"Info" + struct.pack(">I", 1) + number
            return [info.ljust(frame.length, b"\0"), *parts]
    raise AssertionError("every sample rate has a bit rate whose frames hold the header")
