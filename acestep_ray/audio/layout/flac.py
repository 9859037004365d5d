"""FLAC: its metadata is left out, and the number of samples in it with that.

libsndfile stops at the number that the header names, even where the file goes on; without one it
reads to the end.
"""

import os

from acestep_ray.audio.layout.parts import Layout, Malformed

STREAMINFO = 34
MOST_BLOCKS = 1_000
MOST_LOST = 4_608
"""Samples of the largest block that encoders make of music."""


def flac(file: int, start: int, end: int) -> Layout:
    """Of the file from ``start``, where "fLaC" stands, to ``end``. Raises Malformed."""
    at, info = start + 4, b""
    for _ in range(MOST_BLOCKS):
        head = os.pread(file, 4, at)
        if len(head) < 4 or at >= end:
            break
        length = int.from_bytes(head[1:], "big")
        if head[0] & 0x7F == 0 and not info:
            info = os.pread(file, STREAMINFO, at + 4)
        at += 4 + length
        if head[0] & 0x80:
            break
    if len(info) < STREAMINFO:
        raise Malformed("The FLAC is cut off or damaged: its header is not whole.")
    block = min(int.from_bytes(info[2:4], "big"), MOST_LOST)
    told = (info[13] & 0x0F) << 32 | int.from_bytes(info[14:18], "big")
    info = info[:13] + bytes([info[13] & 0xF0]) + bytes(4) + info[18:]
    header = b"fLaC\x80" + STREAMINFO.to_bytes(3, "big") + info
    return Layout([[header, (min(at, end), end)]], told=told, block=block)
