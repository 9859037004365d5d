"""WAV in its kinds: RIFF, RIFX, RF64, BW64 and Sony's W64.

libsndfile is given a header made anew, so that neither a wrong length nor a chunk that is badly
padded is left for it to stumble over.
"""

import os
import struct
from dataclasses import replace

from acestep_ray.audio.layout.chunks import LONGEST_FORMAT, MOST_CHUNKS, MOST_SOUND, chunks
from acestep_ray.audio.layout.mp3 import mp3
from acestep_ray.audio.layout.parts import Layout, Malformed
from acestep_ray.audio.layout.told import UNTOLD, beyond

FORMATS = {0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0x0031, 0x0040, 0xFFFE}
"""PCM, ADPCM of Microsoft and IMA, floats, A-law, mu-law, GSM 6.10, G.721, and the extensible."""
MPEG_FORMATS = {0x0050, 0x0055}
W64_CHUNK = 24
MOST_JOINED = 1_000
TRAILERS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICS")


def wav(file: int, start: int, size: int) -> Layout:
    """Of the RIFF, RIFX, RF64 or BW64 at ``start`` of a file of ``size``, and of those joined to
    it. Raises Malformed."""
    layout, end = _wav(file, start, size)
    streams = [*layout.streams]
    last_start = start
    while is_wav(os.pread(file, 12, end)):
        if len(streams) >= MOST_JOINED:
            raise Malformed("The WAV is joined of too many pieces.")
        last_start = end
        layout, end = _wav(file, end, size)
        streams += layout.streams
    share = (size - last_start) / max(1, size - start)  # only the last can be cut
    return replace(layout, streams=streams, beyond=layout.beyond * share)


def is_wav(head: bytes) -> bool:
    """Whether a WAV begins so."""
    return head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE"


def _wav(file: int, start: int, size: int) -> tuple[Layout, int]:
    """Also where its sound ends, and another file may begin."""
    head = os.pread(file, 12, start).ljust(12, b"\0")
    order = ">" if head[:4] == b"RIFX" else "<"
    (whole,) = struct.unpack(f"{order}I", head[4:8])
    form, long_length = b"", 0
    for name, at, length in chunks(file, start, order):
        if name == b"ds64" and length >= 16:
            long_length = int.from_bytes(os.pread(file, 8, at + 8), "little")
        elif name == b"fmt " and not form:
            form = os.pread(file, min(length, LONGEST_FORMAT), at)
        elif name == b"data":
            told: int | None = length
            if length == 0xFFFF_FFFF and 0 < long_length < 1 << 62:
                told = long_length
            elif length >= UNTOLD or (length == 0 and start + 8 + whole != size):
                told = None  # an empty file's whole length is right
            elif start + 8 + whole <= at + length and _goes_on(file, at + length):
                told = None
            layout = _sound(file, size, order, form, start=at, told=told)
            return layout, size if told is None else at + told + told % 2
    raise Malformed("The WAV is cut off or damaged: its sound cannot be found.")


def w64(file: int, start: int, size: int) -> Layout:
    """Of W64, whose names have 16 bytes, and whose lengths have 8 and count the chunk's head.

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
            told = length if 0 < length < 1 << 62 else None
            return _sound(file, size, "<", form, start=content, told=told)
        if not 0 <= length <= size - content:
            break
        at = content + length + -length % 8
    raise Malformed("The W64 file is cut off or damaged: its sound cannot be found.")


def _sound(
    file: int, size: int, order: str, form: bytes, *, start: int, told: int | None
) -> Layout:
    """``told``: bytes of sound, None where the header does not know."""
    if len(form) < 16:
        raise Malformed("The WAV is damaged: it does not say what its samples are.")
    held = size - start if told is None else max(0, min(told, size - start))
    held = min(held, MOST_SOUND)
    (codec,) = struct.unpack(f"{order}H", form[:2])
    if codec in MPEG_FORMATS:
        return mp3(file, start, start + held)
    if codec not in FORMATS:
        raise Malformed(
            f"The WAV holds sound of a codec that cannot be read (0x{codec:04X}); save it as PCM."
        )
    magic = b"RIFX" if order == ">" else b"RIFF"
    whole = 4 + 8 + len(form) + len(form) % 2 + 8 + held + held % 2
    header = struct.pack(f"{order}4sI4s4sI", magic, whole, b"WAVE", b"fmt ", len(form))
    header += form + bytes(len(form) % 2) + struct.pack(f"{order}4sI", b"data", held)
    return Layout([[header, (start, start + held)]], beyond(told or 0, held))


def _goes_on(file: int, end: int) -> bool:
    """Whether sound goes on where the header says that it and the file end: a recorder died since
    it last wrote its lengths. Else another chunk follows, padded or not, or a tag, or nothing."""
    after = os.pread(file, 4096, end)
    names = after[:4], after[1:5]
    named = any(name.isascii() and name.decode("ascii").isprintable() for name in names)
    return len(after) == 4096 and any(after) and not named and not after.startswith(TRAILERS)
