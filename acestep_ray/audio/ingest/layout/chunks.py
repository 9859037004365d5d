"""The chunks that WAV and AIFF are made of."""

import os
import struct
from collections.abc import Iterator

MOST_CHUNKS = 1_000
LONGEST_FORMAT = 4_096
MOST_SOUND = 0xFFFF_0000
"""Bytes: the largest length that a new header can state."""
NAMES = frozenset(
    b"fmt |data|fact|LIST|INFO|ds64|JUNK|junk|bext|cue |smpl|inst|PEAK|iXML|id3 |ID3 |FLLR|PAD |"
    b"cart|DISP|acid|plst|labl|levl|_PMX|aXML|chna|axml|minf|elm1|regn|umid|afsp|AFAn|SAUR|ResU|"
    b"COMM|SSND|FVER|NAME|AUTH|ANNO|COMT|MARK|INST|APPL|CHAN|(c) |wavl|slnt|C2PA|"
    b"RIFF|RIFX|RF64|BW64|FORM".split(b"|")
)
"""Names of chunks, and of files made of chunks, that real files contain."""
Chunk = tuple[bytes, int, int]
"""(name, where its content starts, its length as the file states it)."""


def chunks(file: int, start: int, order: str) -> Iterator[Chunk]:
    """The chunks of the RIFF or FORM that begins at ``start``. ``order``: "<" or ">"."""
    at = start + 12
    for _ in range(MOST_CHUNKS):
        head = os.pread(file, 8, at)
        if len(head) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", head)
        yield name, at + 8, length
        at += 8 + length
        at += padding(file, at, length, order)


def padding(file: int, at: int, length: int, order: str) -> int:
    """How many bytes are between content of ``length`` that ends at ``at`` and the next chunk: one
    if the length is odd, but some writers leave it out."""
    if length % 2 == 0:
        return 0
    return 0 if _likelihood(file, at, order) > _likelihood(file, at + 1, order) else 1


def is_chunk(file: int, at: int, order: str) -> bool:
    """Whether a chunk begins at ``at``."""
    return _likelihood(file, at, order) > 0


def _likelihood(file: int, at: int, order: str) -> int:
    """2 if a chunk of a known name begins at ``at``; 1 if the name is printable and the chunk ends
    inside the file; otherwise 0, because four printable characters alone can be 8-bit samples."""
    head = os.pread(file, 8, at)
    if head[:4] in NAMES:
        return 2
    if len(head) < 8 or not all(0x20 <= byte < 0x7F for byte in head[:4]):
        return 0
    (length,) = struct.unpack(f"{order}4xI", head)
    return 1 if at + 8 + length <= os.fstat(file).st_size else 0
