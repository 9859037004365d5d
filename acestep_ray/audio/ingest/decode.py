"""Decoding in the child: converts standard input to FLAC, in blocks, and checks it while reading.

It runs only under the limits that child_main.py sets. The order is described there.
"""

import contextlib
import math
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from acestep_ray.audio.ingest.channels import too_many
from acestep_ray.audio.ingest.layout.find import find_layout
from acestep_ray.audio.ingest.layout.parts import Malformed, Part, Parts
from acestep_ray.audio.ingest.shortfall import CutOff
from acestep_ray.audio.ingest.sndfile import MP3, UNRECOGNISED, Block, Sndfile, SndfileError, Sound

RATES = (8_000, 192_000)
BLOCK = 65_536
SMALL_BLOCK = 1_024
VALUES_PER_SECOND = 2 * 192_000
"""The most samples per second, of all channels together, that are kept."""
HIGHEST_BYTE = 3 if sys.byteorder == "little" else 0
UNWRITABLE = ("unwritable", "The audio could not be stored.")
NOTHING_LEFT = "The audio is cut off or damaged: none of it can be read."
UNKNOWN_LENGTH = 1 << 62


class Refused(Exception):
    """Ends the child with a code and one sentence."""


def decode(order: dict[str, Any], sndfile: Sndfile) -> dict[str, Any]:
    """The child's result for standard input: what was read, or a code and one sentence."""
    try:
        return ingest(order, sndfile)
    except Refused as refused:
        return dict(zip(("code", "reason"), refused.args, strict=True))
    except OSError:  # of the file, whose storage fails; what is written fails as SndfileError
        return {"code": "unreadable", "reason": "The audio cannot be read from its storage."}
    except MemoryError:
        return {"code": "too_complex", "reason": "Reading the audio takes too much memory."}


def ingest(order: dict[str, Any], sndfile: Sndfile) -> dict[str, Any]:
    """Decode standard input; returns what was read, and the length that the file states.

    Raises Refused.
    """
    try:
        layout = find_layout(0, order["kind"], order["start"])
    except Malformed as error:
        raise Refused("unreadable", str(error)) from None
    extent = layout.extent
    out = Output(order, sndfile)
    in_headers, whole = 0, True
    size = max(layout.block, SMALL_BLOCK) if layout.block else BLOCK
    lengths = layout.stated or [0] * len(layout.streams)
    for parts, samples in zip(layout.streams, lengths, strict=True):
        with opened(sndfile, parts, order["kind"], layout.open_end, out) as file:
            check(file, order["seconds"])
            whole = out.copy(file, size, samples) and whole
            if file.format != MP3 and file.frames < UNKNOWN_LENGTH:
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


@contextlib.contextmanager
def opened(
    sndfile: Sndfile, parts: Sequence[Part], kind: str, is_cut: bool, out: "Output"
) -> Iterator[Sound]:
    """The parts as libsndfile reads them; ``out`` holds what was read before. Raises Refused."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(sndfile.read(Parts(0, parts)))
        except SndfileError as error:
            if is_cut or out.done:
                read = str(CutOff(out.done / out.rate)) if out.done else NOTHING_LEFT
                raise Refused("truncated", read) from None
            if error.code == UNRECOGNISED or kind == "mp3":  # data can look like its frames
                raise Refused("not_audio", "The file is not audio that can be read.") from None
            raise Refused(
                "unreadable", "The audio is cut off or damaged: its header cannot be read."
            ) from None
        yield file


def check(file: Sound, longest: float) -> None:
    """Refuse, by the header, what need not be decoded. ``longest``: seconds. Raises Refused."""
    rate, channels = file.samplerate, file.channels
    if not RATES[0] <= rate <= RATES[1]:
        raise Refused(
            "unreadable",
            f"The sample rate is {rate} Hz; it must lie between {RATES[0]} and {RATES[1]} Hz.",
        )
    if reason := too_many(channels):
        raise Refused("unreadable", reason)
    if file.frames < UNKNOWN_LENGTH:  # else a FLAC from a pipe: checked while it is read
        check_size(file, file.frames, longest)


def check_size(file: Sound, frames: int, longest: float) -> None:
    """Refuse a file with more ``frames`` (samples per channel) than ``longest`` seconds have, or
    with too many samples in all channels together. Raises Refused."""
    if frames > longest * file.samplerate:
        raise Refused("too_long", f"The audio is longer than {longest:g} seconds.")
    if frames * file.channels > longest * VALUES_PER_SECOND:
        raise Refused(
            "too_large",
            f"The audio is too large when decoded: {file.channels} channels at "
            f"{file.samplerate} Hz; send it in stereo.",
        )


class Output:
    """The audio as 24-bit FLAC. ``done``: samples per channel."""

    def __init__(self, order: dict[str, Any], sndfile: Sndfile) -> None:
        self._sndfile = sndfile
        self._descriptor = order["out"]
        self._longest = order["seconds"]
        self._file: Sound | None = None
        self.done = 0
        self.rate = 0
        self.channels = 0

    def copy(self, file: Sound, size: int, stated: int) -> bool:
        """Append all of ``file``, ``size`` samples per channel at a time; returns whether it could
        be decoded to its end.

        ``stated``: the samples per channel that it should have, 0 if that is unknown. No block
        crosses their end. So if the bytes after them are not sound, no samples are lost, and this
        does not count as damage. Raises Refused.
        """
        if self._file is None:
            self.rate, self.channels = file.samplerate, file.channels
            with writing():
                self._file = self._sndfile.write_flac(self._descriptor, self.rate, self.channels)
        if (file.samplerate, file.channels) != (self.rate, self.channels):
            raise Refused("unreadable", "The audio changes its sample rate or channels inside.")
        start = self.done
        try:
            for block, count in blocks(file, size, stated):
                self.done += count
                check_size(file, self.done, self._longest)
                with writing():
                    self._file.write(block, count)
        except SndfileError:
            return 0 < stated == self.done - start
        return True

    def close(self) -> None:
        """Finish the file and check that it holds what was written."""
        if self._file is None or self.done == 0:
            raise Refused("empty", "The audio file holds no sound.")
        with writing():
            self._file.close()
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            stored = self._sndfile.length(self._descriptor)
        if stored != self.done:
            raise Refused(*UNWRITABLE)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """An error inside this block is caused by the server's disk, not by the client's file."""
    try:
        yield
    except SndfileError:
        raise Refused(*UNWRITABLE) from None


def blocks(file: Sound, size: int, stated: int) -> Iterator[tuple[Block, int]]:
    """The audio in blocks of ``size`` samples per channel, and in a shorter block if ``stated``
    ends: int32 as it is stored, or float32. Each block uses the same memory, and comes with its
    number of samples per channel.

    A block that ends in an error yields nothing: a FLAC is read in its own blocks. Raises
    SndfileError, and Refused.
    """
    block = file.block(size)
    done = 0
    while True:
        wanted = min(size, stated - done) if done < stated else size
        count = file.read_into(block, wanted)
        done += count
        if not count:
            return
        if file.floating and not all_finite(
            memoryview(block).cast("B")[: count * file.channels * 4]
        ):
            raise Refused("unreadable", "The audio holds samples that are not numbers.")
        yield block, count


def all_finite(samples: memoryview) -> bool:
    """Whether none of the float32 in ``samples``, given as bytes, is infinite or not a number.

    Such a sample has all eight bits of the exponent set, and seven of them are in its highest byte,
    beside the sign. Sound has no such byte, and searching for one takes very little time.
    """
    highest = bytes(samples)[HIGHEST_BYTE::4]
    if 0x7F not in highest and 0xFF not in highest:
        return True
    return all(map(math.isfinite, samples.cast("f")))
