"""The formats that can be requested for a take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

AudioFormatName = Literal["mp3", "wav", "wav32", "flac", "opus", "ogg", "aac"]
"""The keys of FORMATS, as requests and stored jobs spell them."""


@dataclass(frozen=True)
class AudioFormat:
    """The parameters of a format for libsndfile, and its names for HTTP and for files.

    ``bits`` is the width of the integers in a lossless file, None if it holds floats or is lossy.
    ``compression_level`` is libsndfile's scale from 0 (largest file) to 1 (smallest).
    ``by_ffmpeg``: ffmpeg writes it, which may not be installed; ``container`` and ``subtype`` are
    then only names.
    """

    name: AudioFormatName
    extension: str
    media_type: str
    container: str
    subtype: str
    bits: int | None = None
    compression_level: float | None = None
    bitrate_mode: str | None = None
    by_ffmpeg: bool = False

    @property
    def is_ogg(self) -> bool:
        """Whether the file is a sequence of Ogg pages."""
        return self.container == "OGG"


FORMATS: Mapping[str, AudioFormat] = {
    format.name: format
    for format in (
        # LAME's V0: about 245 kbit/s on music, in two thirds of the time that a constant 256
        # takes. It carries a Xing header, so players know the exact length.
        AudioFormat("mp3", "mp3", "audio/mpeg", "MP3", "MPEG_LAYER_III", None, 0.0, "VARIABLE"),
        # 16 bits: every program can open such a WAV.
        AudioFormat("wav", "wav", "audio/wav", "WAV", "PCM_16", 16),
        # 32-bit floats: the decoder's samples as they are, also those beyond full scale.
        AudioFormat("wav32", "wav", "audio/wav", "WAV", "FLOAT"),
        # 24 bits hold a float32 in [-1, 1] except for its last few bits, so a take that is kept as
        # FLAC and sent back as a source loses nothing that matters.
        AudioFormat("flac", "flac", "audio/flac", "FLAC", "PCM_24", 24),
        AudioFormat("opus", "opus", "audio/ogg", "OGG", "OPUS", None, 0.65),  # about 190 kbit/s
        AudioFormat("ogg", "ogg", "audio/ogg", "OGG", "VORBIS", None, 0.4),  # Vorbis quality 6
        # In an MP4 file: a bare AAC stream names no length, and players cannot seek in it.
        AudioFormat("aac", "m4a", "audio/mp4", "MP4", "AAC", by_ffmpeg=True),
    )
}
ALWAYS_WRITTEN: tuple[AudioFormatName, ...] = tuple(
    format.name for format in FORMATS.values() if not format.by_ffmpeg
)
"""The formats that need no other program."""
