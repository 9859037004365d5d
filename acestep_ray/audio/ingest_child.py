"""Decodes one untrusted audio file. Run as a script, alone in a process, and never imported.

The file is standard input. The FLAC goes to an open descriptor, and one line of JSON to standard
output: what was read, or a code and one sentence for the client. Limits are set before the file is
touched: address space, processor time, size of what it writes; and once nothing is left to load it
may open no further file or socket. argv[1] is the order, in JSON:

    out: int, seconds: float, cpu: float, memory: int, bytes: int     always
    kind: str, patch: [offset, hex] or null                           decode it here
    has_length: bool, samples: int (a channel's, at least)            decode it here
    run: [program, argument, ...]                                     become that program instead
"""

import contextlib
import ctypes
import io
import json
import math
import os
import resource
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile as sf

RATES = (8_000, 192_000)
CHANNELS = 8
BLOCK = 65_536
VALUES_PER_SECOND = 2 * 192_000
"""Samples of all channels together, a second: the most that is kept."""
FLOATING = ("FLOAT", "DOUBLE", "VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
UNWRITABLE = ("unwritable", "The audio could not be stored.")
UNKNOWN_LENGTH = 1 << 62
PR_SET_NO_NEW_PRIVS = 38


class Refused(Exception):
    """Ends the child with a code and a sentence."""


def main() -> None:
    order = json.loads(sys.argv[1])
    confine(order)
    if "run" in order:
        os.execv(order["run"][0], order["run"])
    try:
        answer: dict[str, Any] = ingest(order)
    except Refused as refused:
        answer = dict(zip(("code", "reason"), refused.args, strict=True))
    except MemoryError:
        answer = {"code": "too_complex", "reason": "Reading the audio takes too much memory."}
    sys.stdout.write(json.dumps(answer))


def confine(order: dict[str, Any]) -> None:
    cpu = math.ceil(order["cpu"])
    limits = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_AS: (order["memory"], order["memory"]),
        resource.RLIMIT_CPU: (cpu, cpu + 1),
        resource.RLIMIT_FSIZE: (order["bytes"], order["bytes"]),
    }
    if "run" not in order:
        free = os.dup(0)  # the lowest number that is free; from here on every opening fails
        os.close(free)
        limits[resource.RLIMIT_NOFILE] = (free, free)
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for limit, values in limits.items():
        resource.setrlimit(limit, values)


class Patched(io.RawIOBase):
    """Standard input with a few bytes of its header replaced."""

    def __init__(self, offset: int, content: bytes) -> None:
        self._offset = offset
        self._content = content
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(0).st_size}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = os.preadv(0, [view], self._at)
        for i, byte in enumerate(self._content, self._offset - self._at):
            if 0 <= i < count:
                view[i] = byte
        self._at += count
        return count


class Stream(sf.SoundFile):  # type: ignore[misc]
    """Read from front to back.

    Of a file that it may seek in, soundfile seeks to where it is after every read. In an MP3 that
    loses what the decoder knows of the frames before (measured: errors of 0.6 at every block), and
    at the end of a FLAC of unknown length it fails.
    """

    def seekable(self) -> bool:
        """No."""
        return False


def ingest(order: dict[str, Any]) -> dict[str, int]:
    os.lseek(0, 0, os.SEEK_SET)
    patch = order["patch"]
    try:
        source = Patched(patch[0], bytes.fromhex(patch[1])) if patch else 0
        file = Stream(source, closefd=False)
    except sf.LibsndfileError as error:
        if error.code == 1 or order["kind"] == "mp3":  # which two bytes make it seem to be
            raise Refused("not_audio", "The file is not audio that can be read.") from None
        raise Refused("unreadable", "The audio is damaged: its header cannot be read.") from None
    with file:
        check(file, order["seconds"])
        samples = copy(file, order)
        if file.format == "MP3" and not order["has_length"]:
            check_read_whole()
    return {"sample_rate": file.samplerate, "channels": file.channels, "samples": samples}


def check(file: Any, longest: float) -> None:
    """Refuse by the header what need not be decoded."""
    rate, channels = file.samplerate, file.channels
    if not RATES[0] <= rate <= RATES[1]:
        raise Refused(
            "unreadable",
            f"The sample rate is {rate} Hz; it must lie between {RATES[0]} and {RATES[1]} Hz.",
        )
    if channels > CHANNELS:
        raise Refused("unreadable", f"The audio has {channels} channels; the most is {CHANNELS}.")
    if file.frames < UNKNOWN_LENGTH:  # else a FLAC from a pipe: it is watched as it is read
        check_size(file, file.frames, longest)


def check_size(file: Any, frames: int, longest: float) -> None:
    """Refuse a file of so many samples a channel."""
    if frames > longest * file.samplerate:
        raise Refused("too_long", f"The audio is longer than {longest:g} seconds.")
    if frames * file.channels > longest * VALUES_PER_SECOND:
        raise Refused(
            "too_large",
            f"The audio is too large when decoded: {file.channels} channels at "
            f"{file.samplerate} Hz; send it in stereo.",
        )


def copy(file: Any, order: dict[str, Any]) -> int:
    """Write the audio as 24-bit FLAC; answers the samples of a channel."""
    with writing():
        out = sf.SoundFile(
            order["out"],
            "w",
            samplerate=file.samplerate,
            channels=file.channels,
            format="FLAC",
            subtype="PCM_24",
            closefd=False,
        )
    done = 0
    for block in blocks(file):
        done += len(block)
        check_size(file, done, order["seconds"])
        with writing():
            out.write(block)
    if done == 0:
        raise Refused("empty", "The audio file holds no sound: its length is zero.")
    if done < file.frames < UNKNOWN_LENGTH and file.format != "MP3":
        cut(file, done)
    with writing():
        out.close()
        os.lseek(order["out"], 0, os.SEEK_SET)
        stored = sf.info(order["out"]).frames
    if done < order["samples"]:
        cut(file, done)
    if stored != done:
        raise Refused(*UNWRITABLE)
    return done


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """What fails in here is the server's disk, not the client's file."""
    try:
        yield
    except (sf.LibsndfileError, OSError):
        raise Refused(*UNWRITABLE) from None


def blocks(file: Any) -> Iterator[Any]:
    """The audio in blocks: int32 as it is stored, or float32 clipped to [-1, 1]."""
    floating = file.subtype in FLOATING
    done = 0
    while True:
        try:
            block = file.read(BLOCK, dtype="float32" if floating else "int32", always_2d=True)
        except sf.LibsndfileError:
            if file.format == "MP3":
                raise Refused("unreadable", "The MP3 is damaged inside.") from None
            cut(file, done)
        if not len(block):
            return
        if floating:
            if not np.isfinite(block).all():
                raise Refused("unreadable", "The audio holds samples that are not numbers.")
            np.clip(block, -1.0, 1.0, out=block)
        done += len(block)
        yield block


def cut(file: Any, done: int) -> None:
    known = file.frames < UNKNOWN_LENGTH
    whole = f"of {file.frames / file.samplerate:.1f} seconds " if known else ""
    raise Refused(
        "truncated",
        f"The audio is cut off or damaged: {whole}only the first "
        f"{done / file.samplerate:.1f} can be read.",
    )


def check_read_whole() -> None:
    """Refuse an MP3 of varying bit rate without a header that tells its length.

    libsndfile takes the first frame's bit rate for all, and stops where it thinks that the end is.
    """
    left = os.fstat(0).st_size - os.lseek(0, 0, os.SEEK_CUR)
    if left > 4096:
        raise Refused(
            "unreadable",
            "The MP3 has a variable bit rate and no header that tells its length, so it cannot be "
            "read whole; save it again, or send WAV or FLAC.",
        )


if __name__ == "__main__":
    main()
