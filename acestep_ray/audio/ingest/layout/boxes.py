"""What the outermost boxes of an MP4 or CAF file state about its length."""

import os
import struct

from acestep_ray.audio.ingest.layout.stated_length import NOTHING_MISSING, Extent

MOST_BOXES = 10_000
CAF_HEADER = 8


def mp4_missing(file: int) -> int:
    """How many bytes of the first box that does not fit are missing after the end of ``file``; 0 if
    all boxes fit. Blocking."""
    size = os.fstat(file).st_size
    at = 0
    for _ in range(MOST_BOXES):
        head = os.pread(file, 16, at)
        if len(head) < 8:
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        if length < 8:  # 0: to the end of the file
            break
        at += length
        if at > size:
            return at - size
    return 0


def caf_extent(file: int) -> Extent:
    """How many bytes of the "data" chunk of ``file`` are there, and how many are missing after the
    file's end. Nothing is missing if there is no such chunk, or if it states no length.
    Blocking."""
    size = os.fstat(file).st_size
    at = CAF_HEADER
    for _ in range(MOST_BOXES):
        head = os.pread(file, 12, at)
        if len(head) < 12:
            break
        name, length = struct.unpack(">4sq", head)
        at += 12
        if name == b"data":
            held = size - at if length < 0 else min(length, size - at)  # -1: to the end
            return Extent(held, max(0, length - held))
        if length < 0:
            break
        at += length
    return NOTHING_MISSING
