"""AAC in an MP4 file (M4A), by ffmpeg: libsndfile does not write it."""

# mypy: allow-untyped-calls

import contextlib
import logging
import shutil
import subprocess
import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from mutagen.mp4 import MP4

from acestep_ray.artifacts.errors import StorageError
from acestep_ray.audio.ingest.sandbox import plain_environment
from acestep_ray.formats import ALWAYS_WRITTEN, FORMATS, AudioFormatName
from acestep_ray.timebase import SAMPLE_RATE, Samples

logger = logging.getLogger(__name__)

PRIMING = 1024
"""Samples that ffmpeg's encoder puts before the sound. The file states that they are not played."""
FRAME = 1024
"""Samples per block of AAC: the last block is filled with silence."""
BITRATE = "256k"
_PROBE_SECONDS = 60.0
_WRITE_SECONDS = 600.0
"""Longest time that ffmpeg may take for a file. It needs a few seconds for the longest take."""


def writable_formats() -> tuple[AudioFormatName, ...]:
    """The formats that this machine can write, in the order of FORMATS. Blocking the first time."""
    if _options() is None:
        return ALWAYS_WRITTEN
    return tuple(format.name for format in FORMATS.values())


def write_aac(blocks: Iterable[Samples], channels: int, path: Path) -> None:
    """Write ``blocks`` ([n, channels] float32, 48 kHz) to ``path``, a new or an empty file.

    Its index is at its beginning, so that players can start before they have all of it. Blocking.
    Raises StorageError, and what ``blocks`` raises.
    """
    options = _options()
    program = shutil.which("ffmpeg")
    if options is None or program is None:
        raise StorageError("The aac file could not be written: the decoder has no ffmpeg.")
    command = [program, "-nostdin", "-v", "quiet", "-y", "-f", "f32le", "-ar", str(SAMPLE_RATE)]
    command += ["-ac", str(channels), "-i", "pipe:0", "-c:a", "aac", "-b:a", BITRATE]
    command += ["-threads", "1", "-flags:a", "+bitexact", "-fflags", "+bitexact", *options]
    command += ["-movflags", "+faststart", "-f", "ipod", f"file:{path}"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=plain_environment(),
    ) as process:
        assert process.stdin is not None
        watchdog = threading.Timer(_WRITE_SECONDS, process.kill)  # it may have been stopped
        watchdog.daemon = True
        watchdog.start()
        try:
            for block in blocks:
                process.stdin.write(block.astype("<f4").tobytes())
        except BrokenPipeError:
            pass  # it has ended: its status is the reason
        except BaseException:
            process.kill()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
            watchdog.cancel()
    if process.returncode != 0:
        logger.warning("ffmpeg ended with status %d when it wrote AAC.", process.returncode)
        raise StorageError("The aac file could not be written.")


def stated_samples(path: Path) -> int:
    """Samples per channel of a file of ``write_aac``. Raises mutagen.MutagenError and OSError."""
    info: Any = MP4(path).info
    length: float = info.length
    return round(length * SAMPLE_RATE) - PRIMING


def gapless(samples: int) -> bytes:
    """The text in which players of MP4 files look for the exact length, as iTunes writes it.

    ``samples``: per channel, without the priming and the silence in the last block.
    """
    silence = -(PRIMING + samples) % FRAME
    unused = " 00000000" * 8
    return f" 00000000 {PRIMING:08X} {silence:08X} {samples:016X}{unused}".encode()


@cache
def _options() -> list[str] | None:
    """Options of the installed ffmpeg for this format; None if there is none that can write it."""
    program = shutil.which("ffmpeg")
    if program is None or b"Encoder aac " not in _help(program, "encoder=aac"):
        return None
    muxer = _help(program, "muxer=ipod")
    if b"Muxer ipod " not in muxer:
        return None
    # Without it, the length that the file states is rounded to milliseconds.
    return ["-movie_timescale", str(SAMPLE_RATE)] if b"-movie_timescale" in muxer else []


def _help(program: str, topic: str) -> bytes:
    command = [program, "-hide_banner", "-h", topic]
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=plain_environment(),
            timeout=_PROBE_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("%s does not run: %s", program, error)
        return b""
