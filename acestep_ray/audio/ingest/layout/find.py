"""The layout of a file whose kind is known."""

from acestep_ray.audio.ingest.layout.aiff import aiff, au
from acestep_ray.audio.ingest.layout.flac import flac
from acestep_ray.audio.ingest.layout.mp3 import mp3
from acestep_ray.audio.ingest.layout.ogg import ogg
from acestep_ray.audio.ingest.layout.parts import Layout
from acestep_ray.audio.ingest.layout.tags import end_before_tags
from acestep_ray.audio.ingest.layout.wav import w64, wav

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
    """The layout of the open ``file``, whose sound begins at ``start``. Raises parts.Malformed."""
    return READERS[kind](file, start, end_before_tags(file))
