"""WAV in its kinds: RIFF, RIFX, RF64, BW64 and Sony's W64.

libsndfile gets a new header, so that neither a wrong length nor a chunk with wrong padding can
mislead it.
"""

import os
import struct
from dataclasses import dataclass, replace

from acestep_ray.audio.ingest.layout.chunks import (
    LONGEST_FORMAT,
    MOST_CHUNKS,
    MOST_SOUND,
    NAMES,
    chunks,
    is_chunk,
    padding,
)
from acestep_ray.audio.ingest.layout.mp3 import mp3
from acestep_ray.audio.ingest.layout.parts import Layout, Malformed, Window, join
from acestep_ray.audio.ingest.layout.stated_length import UNSTATED, extent
from acestep_ray.audio.ingest.layout.tags import tag_length

FORMATS = {0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0x0031, 0x0040, 0xFFFE}
"""PCM, ADPCM of Microsoft and IMA, floats, A-law, mu-law, GSM 6.10, G.721, and "extensible"."""
MPEG_FORMATS = {0x0050, 0x0055}
W64_CHUNK = 24
MOST_JOINED = 1_000
LEAST_SOUND = 4_096
"""If at least this many bytes follow the stated end of the sound, they may be sound, too."""


def wav(file: int, start: int, size: int) -> Layout:
    """The layout of the RIFF, RIFX, RF64 or BW64 at ``start`` of a file of ``size``, and of those
    joined to it. Raises Malformed."""
    window = Window(file)
    pieces: list[Layout] = []
    at: int | None = start
    while at is not None:
        if len(pieces) >= MOST_JOINED:
            raise Malformed("The WAV is joined of too many pieces.")
        try:
            piece, at = _wav(file, window, at, size)
        except Malformed:
            if not pieces:
                raise
            piece, at = Layout([], open_end=True), None
        pieces.append(piece)
    return join(pieces)


def is_wav(head: bytes) -> bool:
    """Whether these are the first bytes of a WAV."""
    return head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE"


@dataclass(frozen=True)
class _Header:
    """What is before the sound of a WAV. ``order``: "<" or ">". ``form``: content of "fmt ".
    ``sound``: where the sound begins. ``stated``: its bytes, None if the header does not state
    them. ``end``: where the whole WAV ends, according to the header."""

    order: str
    form: bytes
    sound: int
    stated: int | None
    end: int


def _wav(file: int, window: Window, start: int, size: int) -> tuple[Layout, int | None]:
    """Also returns where the next WAV begins that was joined to it. Raises Malformed."""
    header = _header(file, start, size)
    at, stated, order = header.sound, header.stated, header.order
    if stated is None:
        following = _find_wav(window, at, size)
        size = following or size
        return _sound(file, size, order, header.form, start=at, stated=None), following
    end = at + stated
    padded_end = end + padding(file, end, stated, order)
    for place in (padded_end, header.end, header.end + (header.end - start) % 2):
        if place > at and is_wav(window.read(place, 12)):
            return _sound(file, size, order, header.form, start=at, stated=stated), place
    if header.end <= size and _sound_goes_on(file, end, padded_end, size, order):
        layout = _sound(file, size, order, header.form, start=at, stated=None)
        return replace(layout, damaged=True), None
    return _sound(file, size, order, header.form, start=at, stated=stated), None


def _header(file: int, start: int, size: int) -> _Header:
    """The header of the WAV at ``start``. Raises Malformed."""
    head = os.pread(file, 12, start).ljust(12, b"\0")
    order = ">" if head[:4] == b"RIFX" else "<"
    end = start + 8 + int(struct.unpack(f"{order}I", head[4:8])[0])
    form, long_length = b"", 0
    for name, at, length in chunks(file, start, order):
        if name == b"ds64" and length >= 16:
            long_length = int.from_bytes(os.pread(file, 8, at + 8), "little")
        elif name == b"fmt " and not form:
            form = os.pread(file, min(length, LONGEST_FORMAT), at)
        elif name == b"data":
            stated: int | None = length
            if length == 0xFFFF_FFFF and 0 < long_length < 1 << 62:
                stated = long_length
            elif length >= UNSTATED or (length == 0 and end != size):
                stated = None  # the whole length of an empty file is right
            return _Header(order, form, at, stated, end)
    raise Malformed("The WAV is cut off or damaged: its sound cannot be found.")


def w64(file: int, start: int, size: int) -> Layout:
    """The header of a W64: names have 16 bytes; lengths have 8 and include the chunk's header.

    Raises Malformed.
    """
    at, form = start + 16 + 8 + 16, b""
    for _ in range(MOST_CHUNKS):
        head = os.pread(file, W64_CHUNK, at)
        if len(head) < W64_CHUNK:
            break
        name, length = head[:4], int.from_bytes(head[16:], "little") - W64_CHUNK
        content = at + W64_CHUNK
        if name == b"fmt ":
            form = os.pread(file, max(0, min(length, LONGEST_FORMAT)), content)
        if name == b"data":
            stated = length if 0 < length < 1 << 62 else None
            return _sound(file, size, "<", form, start=content, stated=stated)
        if not 0 <= length <= size - content:
            break
        at = content + length + -length % 8
    raise Malformed("The W64 file is cut off or damaged: its sound cannot be found.")


def _sound(
    file: int, size: int, order: str, form: bytes, *, start: int, stated: int | None
) -> Layout:
    """``stated``: bytes of sound, None if the header does not state them. Raises Malformed."""
    if len(form) < 16:
        raise Malformed("The WAV is damaged: it does not state what its samples are.")
    held = max(0, size - start if stated is None else min(stated, size - start))
    held = min(held, MOST_SOUND)
    (codec,) = struct.unpack(f"{order}H", form[:2])
    if codec in MPEG_FORMATS:
        return replace(mp3(file, start, start + held), extent=extent(stated, held))
    if codec not in FORMATS:
        raise Malformed(
            f"The WAV holds sound of a codec that cannot be read (0x{codec:04X}); save it as PCM."
        )
    magic = b"RIFX" if order == ">" else b"RIFF"
    whole = 4 + 8 + len(form) + len(form) % 2 + 8 + held + held % 2
    header = struct.pack(f"{order}4sI4s4sI", magic, whole, b"WAVE", b"fmt ", len(form))
    header += form + bytes(len(form) % 2) + struct.pack(f"{order}4sI", b"data", held)
    return Layout([[header, (start, start + held)]], extent(stated, held))


def _find_wav(window: Window, at: int, end: int) -> int | None:
    """Where, from ``at``, a WAV begins, with a chunk of a known name; None if there is none."""
    while (at := window.find(b"WAVE", at, end)) >= 0:
        if is_wav(window.read(at - 8, 12)) and window.read(at + 4, 4) in NAMES:
            return at - 8
        at += 1
    return None


def _sound_goes_on(file: int, end: int, padded_end: int, size: int, order: str) -> bool:
    """Whether the file holds more sound than its header states, because a recorder crashed after it
    last wrote the lengths. Otherwise a chunk, a tag or nothing is at ``end``, or at
    ``padded_end``."""
    if size - end < LEAST_SOUND or is_chunk(file, padded_end, order):
        return False
    after = os.pread(file, LEAST_SOUND, end)
    return any(after) and not tag_length(after) and not tag_length(after[padded_end - end :])
