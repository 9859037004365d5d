"""Parts of a file, and bytes of our own, that are read as one file."""

import io
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from acestep_ray.audio.ingest.layout.stated_length import NOTHING_MISSING, Extent

Part = bytes | tuple[int, int]
"""Bytes of our own, or (start, end) in the file."""


@dataclass(frozen=True)
class Layout:
    """What libsndfile gets to decode, and what the file states about its length.

    ``streams``: each is read as a separate file, one after the other. ``extent``: how much of the
    sound that the headers state is there. ``stated``: samples per channel that the header of each
    stream states, 0 if it states none; empty if no header states any. ``block``: samples per
    channel that one missing byte may cost. ``least``: samples that must at least be decoded.
    ``damaged``: something in the file was passed over, or is not what its header states.
    ``open_end``: it ends inside a block that is not its last, and how much is missing cannot be
    known.
    """

    streams: Sequence[Sequence[Part]]
    extent: Extent = NOTHING_MISSING
    stated: Sequence[int] = ()
    block: int = 0
    least: int = 0
    damaged: bool = False
    open_end: bool = False


def join(pieces: Sequence[Layout]) -> Layout:
    """The layout of a file that consists of ``pieces``, one after the other."""
    return Layout(
        streams=[stream for piece in pieces for stream in piece.streams],
        extent=Extent(
            sum(piece.extent.held for piece in pieces),
            sum(piece.extent.missing for piece in pieces),
        ),
        stated=[samples for piece in pieces for samples in piece.stated],
        block=max(piece.block for piece in pieces),
        least=sum(piece.least for piece in pieces),
        damaged=any(piece.damaged for piece in pieces),
        open_end=any(piece.open_end for piece in pieces),
    )


class Malformed(Exception):
    """The header cannot be understood. The message is one sentence for the client."""


class Parts(io.RawIOBase):
    """The parts of the open regular ``file`` as one file, read-only."""

    def __init__(self, file: int, parts: Sequence[Part]) -> None:
        self._file = file
        self._parts = [part for part in parts if _length(part)]
        self._starts = [0, *accumulate(_length(part) for part in self._parts)]
        self._at = 0

    def readable(self) -> bool:
        """Always true."""
        return True

    def seekable(self) -> bool:
        """Always true."""
        return True

    def tell(self) -> int:
        """The offset of the next read."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as in any file; returns the new offset."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._starts[-1]}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: object) -> int:
        """Fill as much as one part can fill; 0 at the end."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        if not len(view) or self._at >= self._starts[-1]:
            return 0
        index = bisect_right(self._starts, self._at) - 1
        part, skipped = self._parts[index], self._at - self._starts[index]
        if isinstance(part, bytes):
            piece = part[skipped : skipped + len(view)]
            view[: len(piece)] = piece
            count = len(piece)
        else:
            start = part[0] + skipped
            count = os.preadv(self._file, [view[: part[1] - start]], start)
        self._at += count
        return count


def _length(part: Part) -> int:
    return len(part) if isinstance(part, bytes) else part[1] - part[0]


class Window:
    """Reads small pieces of a large file, mostly forwards, with short steps back."""

    SIZE = 1 << 20
    BACK = 1 << 13

    def __init__(self, file: int) -> None:
        self._file = file
        self._start = 0
        self._content = b""

    def read(self, at: int, count: int) -> bytes:
        """``count`` bytes at ``at``; fewer at the file's end."""
        begin = at - self._start
        if begin < 0 or begin + count > len(self._content):
            self._start = max(0, at - self.BACK)
            begin = at - self._start
            self._content = os.pread(self._file, begin + max(count, self.SIZE), self._start)
        return self._content[begin : begin + count]

    def find(self, wanted: bytes, at: int, end: int) -> int:
        """Where ``wanted`` next begins, from ``at``, and ends by ``end``; or -1."""
        while len(self.read(at, len(wanted))) == len(wanted):
            found = self._content.find(wanted, at - self._start) + self._start
            if found >= at:
                return found if found + len(wanted) <= end else -1
            at = self._start + len(self._content) - len(wanted) + 1
            if at >= end:
                break
        return -1

    def end_of_content(self, start: int, end: int) -> int:
        """Where the zeros begin that reach to ``end``; ``start`` if all bytes are zeros."""
        while end > start:
            begin = max(start, end - self.SIZE)
            content = os.pread(self._file, end - begin, begin).rstrip(b"\0")
            if content:
                return begin + len(content)
            end = begin
        return start
