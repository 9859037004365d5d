"""Decodes one untrusted audio file. Run as a script, alone in a process, and never imported.

The file is standard input. The FLAC goes to an open descriptor, and one line of JSON to standard
output: what was read, or a code and one sentence for the client. Limits are set before the file is
touched: address space, processor time, size of what it writes; and once nothing is left to load it
may open no further file or socket. argv[1] is the order, in JSON:

    out: int, seconds: float, cpu: float, memory: int, bytes: int     always
    kind: str, start: int                                             decode it here
    run: [program, argument, ...]                                     become that program instead

The program finds ``out`` as its standard output (where it is -1, there is none), and its standard
error is our output. Beside these it may have one file open: the input, by the name of
its descriptor.
"""

import contextlib
import ctypes
import json
import math
import os
import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

sys.path.insert(0, str(Path(__file__).parents[3]))  # the package that this script is a part of

from acestep_ray.audio.ingest.channels import too_many
from acestep_ray.audio.ingest.layout.find import find_layout
from acestep_ray.audio.ingest.layout.parts import Malformed, Part, Parts
from acestep_ray.audio.ingest.shortfall import CutOff

RATES = (8_000, 192_000)
BLOCK = 65_536
SMALL_BLOCK = 1_024
VALUES_PER_SECOND = 2 * 192_000
"""Samples of all channels together, a second: the most that is kept."""
FLOATING = ("FLOAT", "DOUBLE", "VORBIS", "OPUS", "MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III")
UNWRITABLE = ("unwritable", "The audio could not be stored.")
NOTHING_LEFT = "The audio is cut off or damaged: none of it can be read."
UNKNOWN_LENGTH = 1 << 62
PR_SET_NO_NEW_PRIVS = 38
RUN_FILES = 4
"""Standard input, output and error, and one more."""


class Refused(Exception):
    """Ends the child with a code and a sentence."""


def main() -> None:
    order = json.loads(sys.argv[1])
    confine(order)
    if "run" in order:
        run(order)
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
    free = os.dup(0)  # the lowest number that is free; from here on every opening fails
    os.close(free)
    limits[resource.RLIMIT_NOFILE] = (free, free)
    if "run" in order:  # else than those it has, one file at a time: its libraries, then the input
        limits[resource.RLIMIT_NOFILE] = (RUN_FILES, RUN_FILES)
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for limit, values in limits.items():
        resource.setrlimit(limit, values)


class Stream(sf.SoundFile):  # type: ignore[misc]
    """Read from front to back.

    Of a file that it may seek in, soundfile seeks to where it is after every read. In an MP3 that
    loses what the decoder knows of the frames before (measured: errors of 0.6 at every block), and
    at the end of a FLAC of unknown length it fails.
    """

    def seekable(self) -> bool:
        """No."""
        return False


def run(order: dict[str, Any]) -> None:
    """Become the program of the order."""
    os.dup2(1, 2)
    if order["out"] >= 0:
        os.dup2(order["out"], 1)
    os.closerange(3, max(3, order["out"]) + 1)
    os.execv(order["run"][0], order["run"])


def ingest(order: dict[str, Any]) -> dict[str, Any]:
    """Decode standard input; answers what was read, and what the file states of its length.

    Raises Refused.
    """
    try:
        layout = find_layout(0, order["kind"], order["start"])
    except Malformed as error:
        raise Refused("unreadable", str(error)) from None
    extent = layout.extent
    out = Output(order)
    in_headers, whole = 0, True
    size = max(layout.block, SMALL_BLOCK) if layout.block else BLOCK
    lengths = layout.stated or [0] * len(layout.streams)
    for parts, samples in zip(layout.streams, lengths, strict=True):
        with opened(parts, order["kind"], layout.open_end, out) as file:
            check(file, order["seconds"])
            whole = out.copy(file, size, samples) and whole
            if file.format != "MP3" and file.frames < UNKNOWN_LENGTH:
                in_headers += file.frames
    stated = max(in_headers, sum(layout.stated) if all(layout.stated) else 0)
    if (stated or extent.missing) and not out.done:
        raise Refused("truncated", NOTHING_LEFT)
    out.close()
    if out.done < layout.least or layout.open_end or not (whole or stated):
        raise Refused("truncated", str(CutOff(out.done / out.rate)))
    stated = max(stated, out.done)
    if extent.missing:
        missing = extent.missing * extent.samples or round(extent.missing_of(stated))
        stated += max(1, missing)
    return {
        "sample_rate": out.rate,
        "channels": out.channels,
        "samples": out.done,
        "stated": stated,
        "damaged": layout.damaged or not whole,
        "block": layout.block,
    }


def opened(parts: Sequence[Part], kind: str, is_cut: bool, out: "Output") -> Stream:
    """The parts as libsndfile reads them; ``out`` holds what was read before. Raises Refused."""
    try:
        return Stream(Parts(0, parts), closefd=False)
    except sf.LibsndfileError as error:
        if is_cut or out.done:
            read = str(CutOff(out.done / out.rate)) if out.done else NOTHING_LEFT
            raise Refused("truncated", read) from None
        if error.code == 1 or kind == "mp3":  # its frames are easily taken for such
            raise Refused("not_audio", "The file is not audio that can be read.") from None
        raise Refused(
            "unreadable", "The audio is cut off or damaged: its header cannot be read."
        ) from None


def check(file: Any, longest: float) -> None:
    """Refuse by the header what need not be decoded; ``longest`` in seconds. Raises Refused."""
    rate, channels = file.samplerate, file.channels
    if not RATES[0] <= rate <= RATES[1]:
        raise Refused(
            "unreadable",
            f"The sample rate is {rate} Hz; it must lie between {RATES[0]} and {RATES[1]} Hz.",
        )
    if reason := too_many(channels):
        raise Refused("unreadable", reason)
    if file.frames < UNKNOWN_LENGTH:  # else a FLAC from a pipe: it is watched as it is read
        check_size(file, file.frames, longest)


def check_size(file: Any, frames: int, longest: float) -> None:
    """Refuse a file of more ``frames`` (samples a channel) than ``longest`` seconds have, or of too
    many samples in all channels. Raises Refused."""
    if frames > longest * file.samplerate:
        raise Refused("too_long", f"The audio is longer than {longest:g} seconds.")
    if frames * file.channels > longest * VALUES_PER_SECOND:
        raise Refused(
            "too_large",
            f"The audio is too large when decoded: {file.channels} channels at "
            f"{file.samplerate} Hz; send it in stereo.",
        )


class Output:
    """The audio as 24-bit FLAC. ``done``: samples a channel."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._descriptor = order["out"]
        self._longest = order["seconds"]
        self._file: Any = None
        self.done = 0
        self.rate = 0
        self.channels = 0

    def copy(self, file: Any, size: int, stated: int) -> bool:
        """Append all of ``file``, ``size`` samples a channel at a time; answers whether it could be
        decoded to its end.

        ``stated``: the samples a channel that it should have, 0 where that is unknown. No block
        crosses their end, so what follows them, where it is not sound, costs none of them; and it
        is no damage. Raises Refused.
        """
        if self._file is None:
            self.rate, self.channels = file.samplerate, file.channels
            with writing():
                self._file = sf.SoundFile(
                    self._descriptor,
                    "w",
                    samplerate=self.rate,
                    channels=self.channels,
                    format="FLAC",
                    subtype="PCM_24",
                    closefd=False,
                )
        if (file.samplerate, file.channels) != (self.rate, self.channels):
            raise Refused("unreadable", "The audio changes its sample rate or channels inside.")
        start = self.done
        try:
            for block in blocks(file, size, stated):
                self.done += len(block)
                check_size(file, self.done, self._longest)
                with writing():
                    self._file.write(block)
        except sf.LibsndfileError:
            return 0 < stated == self.done - start
        return True

    def close(self) -> None:
        """Finish the file and see that it is what was written."""
        if self.done == 0:
            raise Refused("empty", "The audio file holds no sound.")
        with writing():
            self._file.close()
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            stored = sf.info(self._descriptor).frames
        if stored != self.done:
            raise Refused(*UNWRITABLE)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """What fails in here is the server's disk, not the client's file."""
    try:
        yield
    except (sf.LibsndfileError, OSError):
        raise Refused(*UNWRITABLE) from None


def blocks(file: Any, size: int, stated: int) -> Iterator[Any]:
    """The audio in blocks of ``size`` samples a channel, and of fewer where ``stated`` ends: int32
    as it is stored, or float32 clipped to [-1, 1].

    Of a block that ends in an error, nothing comes: a FLAC is read in its own blocks. Raises
    soundfile.LibsndfileError, and Refused.
    """
    floating = file.subtype in FLOATING
    kind = "float32" if floating else "int32"
    done = 0
    while True:
        wanted = min(size, stated - done) if done < stated else size
        block = file.read(wanted, dtype=kind, always_2d=True)
        done += len(block)
        if not len(block):
            return
        if floating:
            if not np.isfinite(block).all():
                raise Refused("unreadable", "The audio holds samples that are not numbers.")
            np.clip(block, -1.0, 1.0, out=block)
        yield block


if __name__ == "__main__":
    main()
