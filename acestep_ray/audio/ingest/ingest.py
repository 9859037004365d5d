"""Ingest a client's audio: a child process reads it under limits, and it is kept as FLAC."""

import asyncio
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError

from acestep_ray.artifacts.errors import StorageFull
from acestep_ray.audio.ingest.child import NOT_STORED, AudioRejected, Code, died, run_child
from acestep_ray.audio.ingest.container import Container, identify, other_kind
from acestep_ray.audio.ingest.ffmpeg import FORMATS, READABLE, Made, make_flac
from acestep_ray.audio.ingest.shortfall import SPARE, CutOff, Lengths, judge
from acestep_ray.settings import Ingest

ROUNDING = 0.01
"""Seconds: how far ffmpeg rounds a length. If that is sound, codecs may round further."""

MOST_COPIED = 1 << 26
"""Bytes per copy."""


@dataclass(frozen=True)
class Ingested:
    """What was read; ``samples`` is per channel. ``warning``: what the client should know about it,
    as the end of a sentence; empty if there is nothing to warn of."""

    sample_rate: int
    channels: int
    samples: int
    warning: str = ""


@dataclass(frozen=True)
class _Read:
    """The child's result. ``stated``: samples per channel that the file should hold. ``block``:
    samples per channel that one missing byte may cost."""

    sample_rate: PositiveInt
    channels: PositiveInt
    samples: PositiveInt
    stated: PositiveInt
    block: NonNegativeInt
    damaged: bool

    def lengths(self) -> Lengths:
        """In seconds."""
        rate = self.sample_rate
        return Lengths(self.samples / rate, self.stated / rate, self.block / rate, self.damaged)


@dataclass(frozen=True)
class _Refusal:
    code: Code | Literal["unwritable"]
    reason: Annotated[str, Field(max_length=300)]


# The child's result is checked like any untrusted data: the file may have taken over the child.
_ANSWER: TypeAdapter[_Read | _Refusal] = TypeAdapter(_Read | _Refusal)


async def ingest(source: int | Path, out: Path, limits: Ingest) -> Ingested:
    """Read ``source`` and write it to ``out`` as 24-bit FLAC at its own rate and channels.

    ``source`` is a path that we made, or an open descriptor, which the caller closes. libsndfile
    reads MP3, WAV and related formats, FLAC, Ogg (Vorbis, Opus), AIFF and AU; ffmpeg reads the
    formats named in ``ffmpeg``, if it is installed. Integer samples are kept as they are (up to 24
    bits), floats are clipped to [-1, 1].

    Raises AudioRejected for everything that is wrong with the file or happens to the child, and
    StorageFull if ``out`` cannot be written. Then, and after a cancellation, nothing is left at
    ``out`` and the child is dead. The caller limits how many of these run at a time.
    """
    if isinstance(source, Path):
        file = await asyncio.to_thread(os.open, source, os.O_RDONLY | os.O_CLOEXEC)
    else:
        file = os.dup(source)
    try:
        container = await asyncio.to_thread(_inspect, file)
        with await asyncio.to_thread(out.open, "w+b") as written:
            return await _bring_in(file, container, written.fileno(), out.parent, limits)
    except BaseException:
        await asyncio.to_thread(out.unlink, missing_ok=True)
        raise
    finally:
        os.close(file)


def _inspect(file: int) -> Container:
    """Refuse what can be refused without a child."""
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise AudioRejected("unreadable", "The audio is not a regular file.")
    if status.st_size == 0:
        raise AudioRejected("empty", "The audio file is empty.")
    container = identify(file)
    if container is None:
        other = other_kind(file)
        what = f"The file is {other}" if other else "The file is not audio that can be read"
        raise AudioRejected("not_audio", f"{what}; send {READABLE}.")
    return container


async def _bring_in(
    file: int, container: Container, out: int, folder: Path, limits: Ingest
) -> Ingested:
    kind = container.kind
    try:
        if kind in FORMATS:
            with (
                tempfile.TemporaryFile(dir=folder) as flac,
                tempfile.TemporaryFile(dir=folder) as rest,
            ):
                if container.start:  # positions in an MP4 count from its own first byte
                    await asyncio.to_thread(_copy_from, file, container.start, rest.fileno())
                    file = rest.fileno()
                made = await make_flac(file, kind, flac.fileno(), limits)
                read = await _decode(flac.fileno(), "flac", 0, out, limits)
            lengths = _lengths(made, read.samples / read.sample_rate)
        else:
            read = await _decode(file, kind, container.start, out, limits)
            lengths = read.lengths()
        warning = judge(lengths, limits.seconds)
    except CutOff as error:
        raise AudioRejected("truncated", str(error)) from None
    return Ingested(read.sample_rate, read.channels, read.samples, warning)


def _copy_from(file: int, start: int, out: int) -> None:
    """Copy ``file`` from ``start`` to the empty ``out``. Blocking. Raises StorageFull."""
    try:
        while copied := os.sendfile(out, file, start, MOST_COPIED):
            start += copied
        os.lseek(out, 0, os.SEEK_SET)
    except OSError:
        raise StorageFull(NOT_STORED) from None


def _lengths(made: Made, seconds: float) -> Lengths:
    """Lengths of a file from which ffmpeg made ``seconds``. Raises CutOff if none is known."""
    if made.open_end:
        raise CutOff(seconds)
    missing = made.extent.missing_of(seconds)
    stated = max(seconds + missing, made.stated)
    if stated - seconds <= (ROUNDING if made.damaged or missing else SPARE):
        stated = seconds
    return Lengths(seconds, stated, damaged=made.damaged)


async def _decode(file: int, kind: str, start: int, out: int, limits: Ingest) -> _Read:
    ended = await run_child({"kind": kind, "start": start}, file, out, limits)
    if ended.stopped or ended.status != 0:
        raise died(ended)
    try:
        answer = _ANSWER.validate_json(ended.output)
    except ValidationError:
        raise died(ended) from None
    if isinstance(answer, _Read):
        return answer
    if answer.code == "unwritable":
        raise StorageFull(NOT_STORED)
    raise AudioRejected(answer.code, answer.reason)
