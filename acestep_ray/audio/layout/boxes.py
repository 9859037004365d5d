"""Whether the outermost boxes of an MP4 or CAF file are all there."""

import os
import struct
from dataclasses import dataclass

MOST_BOXES = 10_000


@dataclass(frozen=True)
class Cut:
    """A box that goes beyond the end of the file: bytes of its content, there and in all, and of
    the file."""

    held: int
    told: int
    size: int


def cut_box(file: int, kind: str) -> Cut | None:
    """The box of an "mp4" or "caf" that is cut off; None where none is, or kind is another."""
    size = os.fstat(file).st_size
    if kind not in ("mp4", "caf"):
        return None
    at = 8 if kind == "caf" else 0
    for _ in range(MOST_BOXES):
        head = os.pread(file, 16, at)
        if len(head) < 12:
            break
        if kind == "caf":  # a length of -1: to the end
            (length,) = struct.unpack(">4xq", head[:12])
            content = at + 12
        else:
            (length,) = struct.unpack(">I4x", head[:8])
            content = at + 8
            if length == 1 and len(head) == 16:
                length, content = int.from_bytes(head[8:], "big"), at + 16
            length = length - (content - at) if length else -1  # 0: to the end
        if length < 0:
            break
        if content + length > size:
            return Cut(size - content, length, size)
        at = content + length
    return None
