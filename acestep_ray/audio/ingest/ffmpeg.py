"""Audio that libsndfile does not read is converted to FLAC by ffmpeg, if ffmpeg is installed.

ffmpeg runs in the same confined child as every other program that reads a client's file. In
addition the kind of the file is forced, no protocol except that of the one file is allowed, and no
decoders except those named in this module. So nothing in a file can make ffmpeg treat it as a
playlist, fetch another file that it names, or decode pictures.
"""

import asyncio
import logging
import os
import re
import shutil
from dataclasses import dataclass

from acestep_ray.artifacts.errors import StorageFull
from acestep_ray.audio.ingest.channels import too_many
from acestep_ray.audio.ingest.child import NOT_STORED, NOWHERE, AudioRejected, died, run_child
from acestep_ray.audio.ingest.container import Foreign
from acestep_ray.audio.ingest.layout.boxes import caf_extent, mp4_missing
from acestep_ray.audio.ingest.layout.ogg import ends_inside_page
from acestep_ray.audio.ingest.layout.stated_length import NOTHING_MISSING, Extent
from acestep_ray.audio.ingest.sandbox import Ended
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
"""The name that people use for the format, and ffmpeg's names."""
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
DURATION = re.compile(rb"^  Duration: (\d+):(\d\d):(\d\d\.\d+)(?:, start: ([\d.]+))?", re.MULTILINE)
"""The end of the file's time, and the start of its sound or picture: before 0 it is left out."""
STREAM = re.compile(
    rb"^  Stream #0:(\d+)(?:\[\w+\])?(?:\([^)]*\))?: (\w+): (\w+)(.*)$", re.MULTILINE
)
CHANNELS = re.compile(rb"Hz, (?:(\d+) channels|(hexadecagonal)|(22\.2))")
"""ffmpeg's form of a layout with more than eight channels."""
BENIGN = (b"not on whitelist", b"Last message repeated")
"""What ffmpeg prints about decoders that are not allowed."""
ENDED_EARLY = (b"partial file", b"ended prematurely")
"""What it prints about a file whose end is missing."""
NO_SPACE = (b"No space left on device", b"Disk quota exceeded")
TOO_LARGE = b"File too large"
"""What it prints if it reaches the child's limit on the size of a file."""
FILL_GAPS = "aresample=async=1"
"""Adds silence where a file's time continues without sound."""


@dataclass(frozen=True)
class Made:
    """What is known about audio that was converted to FLAC. ``stated``: seconds that the file
    states, 0 if it states none, or not those of its sound. ``extent``: bytes of sound in the file,
    and after its end. ``open_end``: it ends inside a block that is not its last. ``damaged``:
    ffmpeg reported an error.
    """

    stated: float
    extent: Extent
    open_end: bool
    damaged: bool


async def make_flac(file: int, kind: Foreign, out: int, limits: Ingest) -> Made:
    """Write the sound of ``file`` to the open file ``out`` as FLAC.

    Raises AudioRejected, and StorageFull if ``out`` cannot be written.
    """
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
    # Without an output ffmpeg prints what the file holds, and exits with an error status.
    asked = await run_child({"run": [*command, "-v", "info"]}, file, NOWHERE, limits)
    extent = await asyncio.to_thread(caf_extent, file) if kind == "caf" else NOTHING_MISSING
    missing = await asyncio.to_thread(mp4_missing, file) if kind == "mp4" else extent.missing
    understood = b"Input #0" in asked.output
    if not understood and (asked.stopped or asked.status < 0):
        raise died(asked)
    if not understood:
        await _see_that_it_runs(program, file, limits)
    nothing_held = extent.missing and not extent.held
    if missing and (nothing_held or not understood):
        size = os.fstat(file).st_size
        raise AudioRejected(
            "truncated",
            f"It is {label} that is cut off: it holds {size:,} of at least "
            f"{size + missing:,} bytes.",
        )
    if not understood:
        raise died(asked)
    stream, stated, alone = _describe(asked.output, label)
    command += ["-v", "error", "-map", f"0:{stream}", "-map_metadata", "-1", "-af", FILL_GAPS]
    command += ["-t", f"{limits.seconds + 1:g}", "-c:a", "flac", "-sample_fmt", "s32"]
    ended = await run_child({"run": [*command, "-f", "flac", "pipe:1"]}, file, out, limits)
    if ended.stopped or ended.status != 0:
        raise _failed(ended)
    damaged = any(
        not any(phrase in line for phrase in BENIGN) for line in ended.output.splitlines()
    )
    # The length of a film is that of its picture; its sound can be shorter and still complete.
    comparable = alone or any(phrase in ended.output for phrase in ENDED_EARLY)
    return Made(
        stated if kind not in LENGTH_IS_GUESSED and comparable else 0.0,
        extent,
        open_end=kind == "ogg_other" and await asyncio.to_thread(ends_inside_page, file),
        damaged=damaged,
    )


def _failed(ended: Ended) -> AudioRejected | StorageFull:
    """Why ffmpeg wrote no FLAC."""
    if any(phrase in ended.output for phrase in NO_SPACE):
        return StorageFull(NOT_STORED)
    if TOO_LARGE in ended.output:
        return AudioRejected(
            "too_large", "The audio is too large when decoded; send it in stereo, at 48000 Hz."
        )
    return died(ended)


async def _see_that_it_runs(program: str, file: int, limits: Ingest) -> None:
    """Raise AudioRejected if the program itself fails: a script that replaces ffmpeg may need more
    than the child's limits allow."""
    asked = await run_confined_version(program, file, limits)
    if asked.status != 0:
        printed = asked.output[-500:].decode(errors="replace")
        logger.error("%s does not run under the limits for reading audio: %s", program, printed)
        raise AudioRejected(
            "unreadable",
            f"The server's ffmpeg, which this kind of file needs, does not run; send {READABLE}.",
        )


async def run_confined_version(program: str, file: int, limits: Ingest) -> Ended:
    """How ``ffmpeg -version`` ends under the limits for reading audio. ``file``: any open file."""
    return await run_child({"run": [program, "-version"]}, file, NOWHERE, limits)


def _describe(output: bytes, label: str) -> tuple[str, float, bool]:
    """The stream to decode, the seconds that the file states (0 if none), and whether they are the
    seconds of this stream alone. Raises AudioRejected.

    It is the first stream of sound that can be decoded: phones also store one that cannot.
    """
    streams = STREAM.findall(output)
    sound = [
        (index.decode(), codec.decode(), rest)
        for index, kind, codec, rest in streams
        if kind == b"Audio"
    ]
    known = [(index, rest) for index, codec, rest in sound if codec in DECODERS]
    if streams and not sound:
        raise AudioRejected("not_audio", f"It is {label} without sound.")
    if sound and not known:
        raise AudioRejected(
            "unreadable",
            f"It is {label} whose codec ({sound[0][1][:32]}) cannot be read here; send {READABLE}.",
        )
    index, rest = known[0] if known else ("a:0", b"")
    if reason := too_many(_channels(rest)):
        raise AudioRejected("unreadable", reason)
    alone = sum(b"(attached pic)" not in rest for *_, rest in streams) == 1
    stated = 0.0
    if found := DURATION.search(output):
        hours, minutes, seconds, start = found.groups()
        stated = 3600 * int(hours) + 60 * int(minutes) + float(seconds) - float(start or 0)
    return index, stated, alone


def _channels(stream: bytes) -> int:
    """How many channels a stream has; 0 if it has at most eight and they have a name."""
    found = CHANNELS.search(stream)
    if not found:
        return 0
    number, sixteen, _ = found.groups()
    return int(number) if number else 16 if sixteen else 24
