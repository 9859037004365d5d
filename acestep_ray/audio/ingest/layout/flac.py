"""FLAC: its metadata is left out, and with it the stated number of samples.

libsndfile stops at the number that the header states, even if the file continues; without one it
reads to the end. Joined files are separated again.
"""

import os

from acestep_ray.audio.ingest.layout.parts import Layout, Malformed, Window, join
from acestep_ray.audio.ingest.layout.tags import id3_length

STREAMINFO = 34
STARTS = (b"fLaC\x00\x00\x00\x22", b"fLaC\x80\x00\x00\x22")
"""The first bytes of every FLAC: its name, and the header of its first metadata block."""
MOST_BLOCKS = 1_000
MOST_JOINED = 1_000
MOST_LOST = 4_608
"""Samples of the largest block that encoders make for music."""
LEAST_PADDING = 64
"""This many zeros at the end of a file are padding; the last frame can end with fewer zeros."""


def flac(file: int, start: int, end: int) -> Layout:
    """The layout of the file from ``start``, where "fLaC" is, to ``end``. Raises Malformed."""
    window = Window(file)
    pieces: list[Layout] = []
    while not pieces or start < end:
        if len(pieces) >= MOST_JOINED:
            raise Malformed("The FLAC is joined of too many pieces.")
        try:
            header, sound, stated, block = _metadata(file, start, end)
        except Malformed:
            if not pieces:
                raise
            pieces.append(Layout([], open_end=True))
            break
        start = _next_start(window, sound, end)
        last = start if stated else _end_of_sound(window, sound, start)
        pieces.append(Layout([[header, (sound, last)]], stated=[stated], block=block))
    return join(pieces)


def _metadata(file: int, start: int, end: int) -> tuple[bytes, int, int, int]:
    """A header without a length, where the sound begins, the samples per channel that the header at
    ``start`` states (0: none), and the samples of its largest block. Raises Malformed."""
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
    stated = (info[13] & 0x0F) << 32 | int.from_bytes(info[14:18], "big")
    info = info[:13] + bytes([info[13] & 0xF0]) + bytes(4) + info[18:]
    header = b"fLaC\x80" + STREAMINFO.to_bytes(3, "big") + info
    return header, min(at, end), stated, block


def _next_start(window: Window, at: int, end: int) -> int:
    """Where the next FLAC after ``at`` begins; ``end`` if there is none."""
    while (at := window.find(STARTS[0][:4], at, end)) >= 0:
        if window.read(at, len(STARTS[0])) in STARTS:
            return at
        at += 1
    return end


def _end_of_sound(window: Window, start: int, end: int) -> int:
    """Where an ID3v2 tag or zeros begin that reach to ``end``; ``end`` if there are none."""
    used = window.end_of_content(start, end)
    at = start
    while (at := window.find(b"ID3", at, end)) >= 0:
        head = window.read(at, 10)
        if len(head) == 10 and head[3] in (2, 3, 4) and used <= at + id3_length(head) <= end:
            return at
        at += 1
    return used if end - used >= LEAST_PADDING else end
