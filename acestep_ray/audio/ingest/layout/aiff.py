"""AIFF and AIFF-C, and the AU of Sun and NeXT: big-endian, one chunk or one header of sound."""

import os
import struct

from acestep_ray.audio.ingest.layout.chunks import LONGEST_FORMAT, MOST_SOUND, chunks
from acestep_ray.audio.ingest.layout.parts import Layout, Malformed
from acestep_ray.audio.ingest.layout.stated_length import UNSTATED, extent

AU_HEADER = 24


def aiff(file: int, start: int, size: int) -> Layout:
    """Raises Malformed."""
    head = os.pread(file, 12, start).ljust(12, b"\0")
    whole, kind = struct.unpack(">4xI4s", head)
    form, sound = b"", None
    for name, at, length in chunks(file, start, ">"):
        if name == b"COMM" and not form:
            form = os.pread(file, min(length, LONGEST_FORMAT), at)
        if name == b"SSND" and sound is None:
            sound = at, length
    if sound is None or len(form) < 18:
        raise Malformed("The AIFF is cut off or damaged: its sound cannot be found.")
    at, length = sound
    skipped = 8 + int.from_bytes(os.pread(file, 4, at), "big")
    at += skipped
    stated: int | None = max(0, length - skipped)
    if length >= UNSTATED or (length <= 8 and start + 8 + whole != size):
        stated = None
    held = max(0, min(size - at, MOST_SOUND if stated is None else stated))
    chunk = b"COMM" + struct.pack(">I", len(form)) + form + bytes(len(form) % 2)
    chunk += struct.pack(">4sIII", b"SSND", 8 + held, 0, 0)
    header = struct.pack(">4sI4s", b"FORM", 4 + len(chunk) + held + held % 2, kind) + chunk
    return Layout([[header, (at, at + held)]], extent(stated, held))


def au(file: int, start: int, size: int) -> Layout:
    """Raises Malformed."""
    head = os.pread(file, AU_HEADER, start)
    if len(head) < AU_HEADER:
        raise Malformed("The AU file is cut off inside its header.")
    offset, length = struct.unpack(">4xII", head[:12])
    at = start + offset
    stated = None if length >= UNSTATED or length == 0 else length
    held = max(0, min(size - at, MOST_SOUND if stated is None else stated))
    header = head[:4] + struct.pack(">II", AU_HEADER, held) + head[12:]
    return Layout([[header, (at, at + held)]], extent(stated, held))
