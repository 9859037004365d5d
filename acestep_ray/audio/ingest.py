"""Bring a client's audio in: read by a child process under limits, and kept as FLAC."""

import asyncio
import json
import logging
import math
import os
import shutil
import signal
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from acestep_ray.audio.confined import Ended, run_confined
from acestep_ray.audio.container import Container, identify
from acestep_ray.audio.storage_error import StorageFull
from acestep_ray.settings import Ingest

logger = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("ingest_child.py")
READABLE = "MP3, WAV, FLAC, Ogg Vorbis, Opus or AIFF"
BYTES_PER_SECOND = 192_000 * 2 * 3
"""Of FLAC, at most: the child refuses what has more than 384,000 samples a second, of 24 bits."""

Code = Literal[
    "not_audio", "empty", "truncated", "too_long", "too_complex", "unreadable", "too_large"
]


class AudioRejected(Exception):
    """The file is not audio that may be used. ``reason`` is one sentence for the client."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code: Code = code
        self.reason = reason


@dataclass(frozen=True)
class Ingested:
    """What was read; ``samples`` counts a channel's."""

    sample_rate: PositiveInt
    channels: PositiveInt
    samples: PositiveInt


@dataclass(frozen=True)
class _Refusal:
    code: Code | Literal["unwritable"]
    reason: Annotated[str, Field(max_length=300)]


# What the child says is checked like any stranger's word: the file may have taken it over.
_ANSWER: TypeAdapter[Ingested | _Refusal] = TypeAdapter(Ingested | _Refusal)


async def ingest(source: int | Path, out: Path, limits: Ingest) -> Ingested:
    """Read ``source`` and write it to ``out`` as 24-bit FLAC at its own rate and channels.

    ``source`` is a path that we made, or an open descriptor, which stays the caller's. MP3, WAV,
    FLAC, Ogg (Vorbis, Opus) and AIFF are read by libsndfile, M4A and AAC by ``ffmpeg`` where there
    is one. Integer samples are kept as they are (to 24 bits), floats are clipped to [-1, 1].

    Raises AudioRejected whatever is wrong with the file or becomes of the child, and StorageFull
    where ``out`` cannot be written; then, and when cancelled, nothing is left at ``out`` and the
    child is dead. How many run at a time is the caller's to limit.
    """
    if isinstance(source, Path):
        file = await asyncio.to_thread(os.open, source, os.O_RDONLY | os.O_CLOEXEC)
    else:
        file = os.dup(source)
    try:
        container = await asyncio.to_thread(_inspect, file)
        with await asyncio.to_thread(out.open, "w+b") as written:
            to = written.fileno()
            if container.kind in ("mp4", "aac"):
                return await _through_ffmpeg(file, container, to, out.parent, limits)
            return await _decode(file, container, to, limits)
    except BaseException:
        await asyncio.to_thread(out.unlink, missing_ok=True)
        raise
    finally:
        os.close(file)


def _inspect(file: int) -> Container:
    """Refuse what needs no child to be refused."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise AudioRejected("unreadable", "The audio is not a regular file.")
    if status.st_size == 0:
        raise AudioRejected("empty", "The audio file is empty.")
    container = identify(file)
    if container is None:
        raise AudioRejected(
            "not_audio", f"The file is not audio that can be read; send {READABLE}."
        )
    if container.cut:
        raise AudioRejected(
            "truncated",
            "The audio file is cut off: its header promises more sound than the file holds.",
        )
    return container


async def _decode(file: int, container: Container, out: int, limits: Ingest) -> Ingested:
    patch = container.patch
    order = {
        "kind": container.kind,
        "patch": [patch[0], patch[1].hex()] if patch else None,
        "has_length": container.has_length,
        "samples": container.samples,
    }
    ended = await _run(order, file, out, limits)
    if ended.stopped or ended.status != 0:
        raise _died(ended)
    try:
        answer = _ANSWER.validate_json(ended.output)
    except ValidationError:
        raise _died(ended) from None
    if isinstance(answer, Ingested):
        return answer
    if answer.code == "unwritable":
        raise StorageFull("The audio could not be stored: the storage is full.")
    raise AudioRejected(answer.code, answer.reason)


async def _through_ffmpeg(
    file: int, container: Container, out: int, folder: Path, limits: Ingest
) -> Ingested:
    """Have ffmpeg make FLAC of it, then treat that as what the client sent."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioRejected("unreadable", f"M4A and AAC cannot be read here; send {READABLE}.")
    with tempfile.TemporaryFile(dir=folder) as made:
        # The kind is forced and only files may be opened: nothing in the file can make ffmpeg
        # take it for a playlist and fetch what that names.
        command = [program, "-nostdin", "-v", "error", "-xerror", "-protocol_whitelist", "file"]
        command += ["-threads", "1", "-f", "mov" if container.kind == "mp4" else "aac"]
        command += ["-i", "file:/proc/self/fd/0", "-map", "0:a:0", "-map_metadata", "-1"]
        command += ["-t", f"{limits.seconds + 1:g}", "-c:a", "flac", "-sample_fmt", "s32"]
        command += ["-f", "flac", "-y", f"file:/proc/self/fd/{made.fileno()}"]
        ended = await _run({"run": command}, file, made.fileno(), limits)
        if ended.stopped or ended.status != 0:
            raise _died(ended)
        return await _decode(made.fileno(), Container("flac"), out, limits)


async def _run(order: dict[str, Any], file: int, out: int, limits: Ingest) -> Ended:
    order |= {
        "out": out,
        "seconds": limits.seconds,
        "cpu": limits.cpu_seconds,
        "memory": limits.memory_bytes,
        "bytes": math.ceil(limits.seconds * BYTES_PER_SECOND * 1.02) + (1 << 20),
    }
    command = [sys.executable, "-I", str(CHILD), json.dumps(order)]
    # On a busy machine a second of processor time may take two.
    return await run_confined(command, file, [out], 2 * limits.cpu_seconds)


def _died(ended: Ended) -> AudioRejected:
    logger.warning("A child that read audio ended with status %d.", ended.status)
    if ended.stopped or ended.status in (-signal.SIGXCPU, -signal.SIGKILL):
        return AudioRejected("too_complex", "Reading the audio takes too much time or memory.")
    return AudioRejected("unreadable", "The audio is cut off or damaged and cannot be read.")
