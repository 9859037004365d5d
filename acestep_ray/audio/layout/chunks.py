"""The chunks that WAV and AIFF are made of."""

import os
import struct
from collections.abc import Iterator

MOST_CHUNKS = 1_000
LONGEST_FORMAT = 4_096
MOST_SOUND = 0xFFFF_0000
"""Bytes: what a header made anew can name."""
NAMES = frozenset(
    b"fmt |data|fact|LIST|INFO|ds64|JUNK|junk|bext|cue |smpl|inst|PEAK|iXML|id3 |ID3 |FLLR|PAD |"
    b"cart|DISP|acid|plst|labl|levl|_PMX|aXML|chna|axml|minf|elm1|regn|umid|afsp|AFAn|SAUR|ResU|"
    b"COMM|SSND|FVER|NAME|AUTH|ANNO|COMT|MARK|INST|APPL|CHAN|(c) |wavl|slnt".split(b"|")
)
"""Chunk names that files really hold; they tell a chunk from other bytes at its place."""
Chunk = tuple[bytes, int, int]
"""(name, where its content starts, how long it says it is)."""


def chunks(file: int, start: int, order: str) -> Iterator[Chunk]:
    """The chunks of the RIFF or FORM that begins at ``start``. ``order``: "<" or ">".

    Content of an odd length is followed by a pad byte; some writers leave it out.
    """
    at = start + 12
    for _ in range(MOST_CHUNKS):
        head = os.pread(file, 8, at)
        if len(head) < 8:
            return
        name, length = struct.unpack(f"{order}4sI", head)
        yield name, at + 8, length
        at += 8 + length
        if length % 2:
            after = os.pread(file, 5, at)
            at += 0 if after[:4] in NAMES and after[1:] not in NAMES else 1
