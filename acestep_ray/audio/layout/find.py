"""The layout of a file whose kind is known."""

import os

from acestep_ray.audio.layout.aiff import aiff, au
from acestep_ray.audio.layout.flac import flac
from acestep_ray.audio.layout.mp3 import mp3
from acestep_ray.audio.layout.ogg import ogg
from acestep_ray.audio.layout.parts import Layout
from acestep_ray.audio.layout.wav import w64, wav

READERS = {
    "wav": wav,
    "w64": w64,
    "aiff": aiff,
    "au": au,
    "flac": flac,
    "ogg": ogg,
    "mp3": mp3,
}


def find_layout(file: int, kind: str, start: int) -> Layout:
    """Of the open ``file``, whose sound begins at ``start``. Raises parts.Malformed."""
    return READERS[kind](file, start, _end(file))


def _end(file: int) -> int:
    """Where the tags begin that some programs put behind any file: an ID3v1, behind an APE tag."""
    end = os.fstat(file).st_size
    if end > 128 and os.pread(file, 3, end - 128) == b"TAG":
        end -= 128
    footer = os.pread(file, 32, max(0, end - 32))
    if footer[:8] == b"APETAGEX" and len(footer) == 32:
        header = 32 if footer[23] & 0x80 else 0
        end -= int.from_bytes(footer[12:16], "little") + header
    return max(0, end)
