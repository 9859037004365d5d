"""Audio that libsndfile does not read, converted to FLAC by ffmpeg if that is installed.

ffmpeg runs in the same confined child as everything that reads a client's file. Beyond that the
kind of file is forced, no protocol but the one file is allowed, and no decoders but those named
here: nothing in a file can make ffmpeg take it for a playlist, fetch what it names, or decode
pictures.
"""

import logging
import re
import shutil
from dataclasses import dataclass

from acestep_ray.audio.child import NOWHERE, AudioRejected, died, run_child
from acestep_ray.audio.container import Foreign
from acestep_ray.audio.layout.boxes import cut_box
from acestep_ray.audio.layout.ogg import ends_inside_page
from acestep_ray.settings import Ingest

logger = logging.getLogger(__name__)

READABLE = "MP3, WAV, FLAC, Ogg Vorbis, Opus or AIFF"
READABLE_BY_FFMPEG = "M4A, AAC, WebM, CAF, AMR and the sound of MP4, MOV and MKV videos"
INPUT = "file:/proc/self/fd/0"
FORMATS: dict[Foreign, tuple[str, str]] = {
    "mp4": ("an MP4 or M4A file", "mov"),
    "aac": ("an AAC file", "aac"),
    "caf": ("a CAF file", "caf"),
    "matroska": ("a WebM or Matroska file", "matroska"),
    "amr": ("an AMR file", "amr"),
    "ogg_other": ("an Ogg file of another codec than Vorbis and Opus", "ogg"),
}
"""What people call it, and what ffmpeg does."""
LENGTH_IS_GUESSED = ("aac", "amr")
DECODERS = {
    "mp3": "mp3float",
    "mp2": "mp2float",
    "amr_nb": "amrnb",
    "amr_wb": "amrwb",
    **{name: name for name in ("aac", "alac", "opus", "vorbis", "flac", "speex", "ac3", "eac3")},
    **{f"pcm_{kind}": f"pcm_{kind}" for kind in (
        "u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be",
        "f32le", "f32be", "f64le", "f64be", "alaw", "mulaw",
    )},
    "adpcm_ima_qt": "adpcm_ima_qt",
}  # fmt: skip
"""By codec."""
DURATION = re.compile(rb"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", re.MULTILINE)
STREAM = re.compile(
    rb"^  Stream #0:(\d+)(?:\[\w+\])?(?:\([^)]*\))?: (\w+): (\w+)(.*)$", re.MULTILINE
)
BENIGN = (b"not on whitelist", b"Last message repeated")
"""What ffmpeg prints of decoders that we deny it."""


@dataclass(frozen=True)
class Made:
    """What is known of audio that was made FLAC. ``told``: seconds that the file names, 0 where it
    does not. ``beyond``: what lies beyond its end, as a share of what is there. ``open_end``: it
    ends inside a block that is not its last. ``damaged``: ffmpeg complained.
    """

    told: float
    beyond: float
    open_end: bool
    damaged: bool


async def make_flac(file: int, kind: Foreign, out: int, limits: Ingest) -> Made:
    """Write the sound of ``file`` to the open file ``out`` as FLAC. Raises AudioRejected."""
    label, demuxer = FORMATS[kind]
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioRejected(
            "unreadable",
            f"It is {label}, and the server has no ffmpeg to read it with: install ffmpeg there, "
            f"or send {READABLE}.",
        )
    command = [program, "-hide_banner", "-nostdin", "-protocol_whitelist", "file", "-f", demuxer]
    command += ["-codec_whitelist", ",".join(DECODERS.values()), "-threads", "1", "-i", INPUT]
    # Without an output ffmpeg says what the file holds, and ends as if it had failed.
    asked = await run_child({"run": [*command, "-v", "info"]}, file, NOWHERE, limits)
    cut = cut_box(file, kind)
    if b"Input #0" not in asked.output:
        if asked.stopped or asked.status < 0:
            raise died(asked)
        await _see_that_it_runs(program, file, limits)
        if not cut:
            raise died(asked)
        raise AudioRejected(
            "truncated",
            f"It is {label} that is cut off: it holds {cut.size:,} of at least "
            f"{cut.size - cut.held + cut.told:,} bytes.",
        )
    stream, told, alone = _describe(asked.output, label)
    command += ["-v", "error", "-map", f"0:{stream}", "-map_metadata", "-1"]
    command += ["-t", f"{limits.seconds + 1:g}", "-c:a", "flac", "-sample_fmt", "s32"]
    ended = await run_child({"run": [*command, "-f", "flac", "pipe:1"]}, file, out, limits)
    if ended.stopped or ended.status != 0:
        raise died(ended)
    damaged = any(
        not any(phrase in line for phrase in BENIGN) for line in ended.output.splitlines()
    )
    return Made(
        told if kind not in LENGTH_IS_GUESSED and (alone or damaged) else 0.0,
        beyond=cut.told / cut.held - 1 if cut and cut.held and kind == "caf" else 0.0,
        open_end=kind == "ogg_other" and ends_inside_page(file),
        damaged=damaged,
    )


async def _see_that_it_runs(program: str, file: int, limits: Ingest) -> None:
    """Raise AudioRejected where it is the program that fails: a script in ffmpeg's place may need
    more than the child may have."""
    asked = await run_child({"run": [program, "-version"]}, file, NOWHERE, limits)
    if asked.status != 0:
        said = asked.output[-500:].decode(errors="replace")
        logger.error("%s does not run under the limits for reading audio: %s", program, said)
        raise AudioRejected(
            "unreadable",
            f"The server's ffmpeg, which this kind of file needs, does not run; send {READABLE}.",
        )


def _describe(said: bytes, label: str) -> tuple[str, float, bool]:
    """The stream to decode, the seconds that the file names (0 where it does not), and whether they
    are those of this stream alone.

    It is the first stream of sound that can be decoded: phones put one beside it that cannot.
    """
    streams = STREAM.findall(said)
    sound = [
        (index.decode(), codec.decode()) for index, kind, codec, _ in streams if kind == b"Audio"
    ]
    known = [index for index, codec in sound if codec in DECODERS]
    if streams and not sound:
        raise AudioRejected("not_audio", f"It is {label} without sound.")
    if sound and not known:
        raise AudioRejected(
            "unreadable",
            f"It is {label} whose codec ({sound[0][1][:32]}) cannot be read here; send {READABLE}.",
        )
    alone = sum(b"(attached pic)" not in rest for *_, rest in streams) == 1
    told = 0.0
    if named := DURATION.search(said):
        hours, minutes, seconds = named.groups()
        told = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    return known[0] if known else "a:0", told, alone
