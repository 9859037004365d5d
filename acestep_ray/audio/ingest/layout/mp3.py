"""MP3 (and MP1, MP2): its frames, counted.

libsndfile relies on the number of frames that a Xing, Info or VBRI header states. Without one it
uses the first frame's bit rate for all frames. In both cases it can stop in the middle. So this
module counts the frames, and gives libsndfile a header with their true number. What is between
frames (the tags of a file that was joined to another, damage) is left out.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache

from acestep_ray.audio.ingest.layout.parts import Layout, Malformed, Part, Window
from acestep_ray.audio.ingest.layout.stated_length import NOTHING_MISSING, Extent
from acestep_ray.audio.ingest.layout.tags import tag_length

SAME = 0xFFFE_0C00
"""Bits of a header that all frames of a file share: version, layer, sample rate."""
MONO = 0xC0
"""Channel mode in a header's last byte; the three other modes all have two channels."""
MOST_RUNS = 1_000
MOST_PLACES = 200_000
"""How many places in a file, outside its frames, are examined for the next frame."""
MOST_REST = 1 << 17
"""With more bytes than this after the last frame, the file counts as damaged."""
FRAMES_IN_A_ROW = 3
"""With this many frames of another kind in a row, they are not there by chance."""
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
"""What a decoder may leave out at both ends: the delay and the padding that the header states."""


@dataclass(frozen=True)
class Frame:
    """A frame's header. ``length``: of the whole frame in bytes, 0 if only the place of the next
    frame shows it (free format). ``info_at``: where a Xing or Info header is in a layer 3 frame
    without a checksum."""

    length: int
    samples: int
    layer: int
    info_at: int


@lru_cache(4096)
def parse(head: bytes) -> Frame | None:
    """The frame that the four bytes begin; None if they begin none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    kbps, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or kbps == 15 or rate == 3:
        return None
    newest, mono = version == 3, head[3] & MONO == MONO
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
    """The layout of the file from ``start``, where a frame begins, to ``end``. Raises Malformed."""
    window = Window(file)
    head = window.read(start, 2048)
    first = parse(head[:4])
    if first is None:
        raise Malformed("The file is not audio that can be read.")
    if not first.length:
        return Layout([[(start, end)]])
    stated = _stated(head, first)
    runs, damaged = _runs(window, start, end)
    frames = sum(run.frames for run in runs) - (stated is not None)
    if frames < 1:
        raise Malformed("The MP3 is cut off in its first frame.")
    return Layout(
        [_with_number(window.read(start, first.length), first, stated, frames, runs)],
        extent=stated.extent(frames, runs[-1].end - start, first.samples)
        if stated
        else NOTHING_MISSING,
        least=max(0, frames * first.samples - SPARE_SAMPLES),
        damaged=damaged,
    )


@dataclass(frozen=True)
class _Stated:
    """What a Xing, Info or VBRI header states; 0 if it does not, or if its writer could not go back
    to write it. ``frames_at``: where the number of frames is in a Xing or Info header."""

    frames: int
    bytes: int
    frames_at: int

    def extent(self, frames: int, held: int, samples: int) -> Extent:
        """The extent, from the ``frames`` and the ``held`` bytes that were found, and the stated
        ones.

        ``samples``: samples per channel of one frame. A file that was cut lacks both frames and
        bytes; if only one of the two numbers is too large, that number is wrong. Some writers also
        count the frame that holds the header.
        """
        if not self.frames:
            return Extent(frames, frames * max(0, self.bytes - held) // held, samples)
        lacks_bytes = self.bytes > held
        lacks_frames = self.frames > frames + (0 if self.bytes else 1)
        if not lacks_frames or (self.bytes and not lacks_bytes):
            return Extent(frames)
        return Extent(frames, self.frames - frames, samples)


def _stated(head: bytes, first: Frame) -> _Stated | None:
    """The lengths are at a fixed place in the first frame: big-endian, and in a Xing header each is
    after a flag (1: frames, 2: bytes)."""
    if first.layer != 3:
        return None
    if head[36:40] == b"VBRI":
        length, frames = struct.unpack(">II", head[46:54].ljust(8, b"\0"))
        return _Stated(frames, length, 0)
    for at in (first.info_at, first.info_at + 2):  # 2 bytes later if there is a checksum
        if head[at : at + 4] in (b"Xing", b"Info"):
            flags, *values = struct.unpack(">III", head[at + 4 : at + 16].ljust(12, b"\0"))
            frames = values.pop(0) if flags & 1 else 0
            return _Stated(frames, values.pop(0) if flags & 2 else 0, at + 8 if flags & 1 else 0)
    return None


@dataclass(frozen=True)
class _Run:
    """Frames without a gap, from ``start`` to ``end``."""

    start: int
    end: int
    frames: int


def _runs(window: Window, start: int, end: int) -> tuple[list[_Run], bool]:
    """The whole frames from ``start`` to ``end`` that belong together, and whether there is
    something other than tags between them, or much of it after them. Raises Malformed."""
    kind = kind_of(window.read(start, 4))
    search = _Search(window, end, kind)
    runs: list[_Run] = []
    at, junk, damaged = start, False, False
    for _ in range(MOST_RUNS):
        begin, frames = at, 0
        while length := _length(window, at, end, kind):
            frames += 1
            at += length
        if frames:
            runs.append(_Run(begin, at, frames))
            damaged = damaged or junk
        tag = tag_length(window.read(at, 32))
        junk = not 0 < tag <= end - at
        following = search.next(at + 1) if junk else at + tag
        if following < 0 or following >= end:
            return runs, damaged or (junk and end - at > MOST_REST)
        at = following
    raise Malformed("The MP3 is damaged inside.")


def kind_of(head: bytes) -> int:
    """What all frames of a file share, from a header's four bytes."""
    return int.from_bytes(head, "big") & SAME | (head[3] & MONO == MONO)


def _length(window: Window, at: int, end: int, kind: int) -> int:
    """Bytes of the frame of ``kind`` at ``at``; 0 if there is none that ends by ``end``."""
    head = window.read(at, 4)
    frame = parse(head)
    if not frame or kind_of(head) != kind or at + frame.length > end:
        return 0
    return frame.length


class _Search:
    """Finds where the frames continue; in a whole file it examines at most MOST_PLACES places."""

    def __init__(self, window: Window, end: int, kind: int) -> None:
        self._window = window
        self._end = end
        self._kind = kind
        self._left = MOST_PLACES

    def next(self, at: int) -> int:
        """Where, from ``at``, two frames of the kind begin, or the last one; -1 if there are none.

        Raises Malformed if frames of another kind begin before them.
        """
        window, end, kind = self._window, self._end, self._kind
        while self._left and (at := window.find(b"\xff", at, end)) >= 0:
            self._left -= 1
            if length := _length(window, at, end, kind):
                if at + length == end or _length(window, at + length, 1 << 62, kind):
                    return at
            elif self._is_other_stream(at):
                raise Malformed("The MP3 changes its sample rate or channels inside.")
            at += 1
        return -1

    def _is_other_stream(self, at: int) -> bool:
        head = self._window.read(at, 4)
        if not parse(head):
            return False
        kind = kind_of(head)
        for _ in range(FRAMES_IN_A_ROW):
            length = _length(self._window, at, self._end, kind)
            if not length:
                return False
            at += length
        return kind != self._kind


def _with_number(
    whole: bytes, first: Frame, stated: _Stated | None, frames: int, runs: list[_Run]
) -> list[Part]:
    """The frames after a header that states their number. ``whole``: the first frame."""
    parts: list[Part] = [(run.start, run.end) for run in runs]
    if first.layer != 3:
        return parts
    number = struct.pack(">I", min(frames, 0xFFFF_FFFF))
    if stated:
        parts[0] = (runs[0].start + len(whole), runs[0].end)
    if stated and stated.frames_at:
        at = stated.frames_at
        return [whole[:at] + number + whole[at + 4 :], *parts]
    for kbps in range(1, 15):
        head = bytes((0xFF, whole[1] | 1, kbps << 4 | whole[2] & 0x0C, whole[3]))
        frame = parse(head)
        if frame and frame.length >= frame.info_at + 12:
            info = head.ljust(frame.info_at, b"\0") + b"Info" + struct.pack(">I", 1) + number
            return [info.ljust(frame.length, b"\0"), *parts]
    raise AssertionError("every sample rate has a bit rate whose frames hold the header")
