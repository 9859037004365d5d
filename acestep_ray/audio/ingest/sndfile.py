"""libsndfile, called directly: to read a client's file, and to write FLAC.

The child that reads a client's file starts for every upload. The package ``soundfile`` imports
numpy, which takes ten times as long as everything else that the child needs, and the child does not
need arrays: it passes blocks on as they are. In this module a block is a ctypes array.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from acestep_ray.audio.ingest.layout.parts import Parts

READ, WRITE = 0x10, 0x20
SET_CLIPPING = 0x10C0
TYPE, SUBTYPE = 0x0FFF_0000, 0xFFFF
FLAC, MP3 = 0x17_0000, 0x23_0000
PCM_24 = 0x0003
FLOATING = (0x0006, 0x0007, 0x0060, 0x0064, 0x0080, 0x0081, 0x0082)
"""Subtypes that are not integers: float, double, Vorbis, Opus, and the three layers of MPEG."""
UNRECOGNISED = 1
"""The error for a file whose format libsndfile does not know."""

Block = ctypes.Array[ctypes.c_float] | ctypes.Array[ctypes.c_int]


class _Info(ctypes.Structure):
    _fields_ = (
        ("frames", ctypes.c_int64),
        ("samplerate", ctypes.c_int),
        ("channels", ctypes.c_int),
        ("format", ctypes.c_int),
        ("sections", ctypes.c_int),
        ("seekable", ctypes.c_int),
    )


_LENGTH = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)
_SEEK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int, ctypes.c_void_p)
_MOVE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)


class _Virtual(ctypes.Structure):
    """How libsndfile reads something that is not a file of the operating system."""

    _fields_ = (
        ("length", _LENGTH),
        ("seek", _SEEK),
        ("read", _MOVE),
        ("write", _MOVE),
        ("tell", _LENGTH),
    )


class SndfileError(Exception):
    """libsndfile returned an error. ``code``: its number."""

    def __init__(self, code: int) -> None:
        super().__init__(f"libsndfile answered error {code}")
        self.code = code


class Sndfile:
    """The loaded library.

    ``path``: of its file, or the name by which the system finds it. Raises OSError.
    """

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        handle, block, count = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64
        library.sf_open_virtual.argtypes = [handle, ctypes.c_int, handle, handle]
        library.sf_open_virtual.restype = handle
        library.sf_open_fd.argtypes = [ctypes.c_int, ctypes.c_int, handle, ctypes.c_int]
        library.sf_open_fd.restype = handle
        library.sf_command.argtypes = [handle, ctypes.c_int, handle, ctypes.c_int]
        for name in ("sf_error", "sf_close"):
            getattr(library, name).argtypes = [handle]
        for name in ("sf_readf_int", "sf_readf_float", "sf_writef_int", "sf_writef_float"):
            function = getattr(library, name)
            function.argtypes, function.restype = [handle, block, count], count
        self.library = library

    @contextmanager
    def read(self, parts: Parts) -> "Iterator[Sound]":
        """Open ``parts`` for reading from front to back. Raises SndfileError, and what ``parts``
        raises (OSError, MemoryError), also while it is read."""
        info = _Info()
        source = _Source(parts)
        virtual = ctypes.byref(source.virtual)  # used for as long as the file is open
        handle = self.library.sf_open_virtual(virtual, READ, ctypes.byref(info), None)
        source.check()
        with Sound(self.library, handle, info, source) as sound:
            yield sound

    def write_flac(self, descriptor: int, rate: int, channels: int) -> "Sound":
        """Write 24-bit FLAC to the open file. Raises SndfileError."""
        info = _Info(samplerate=rate, channels=channels, format=FLAC | PCM_24)
        handle = self.library.sf_open_fd(descriptor, WRITE, ctypes.byref(info), 0)
        return Sound(self.library, handle, info)

    def length(self, descriptor: int) -> int:
        """Samples per channel that the header of an open file states. Raises SndfileError."""
        info = _Info()
        handle = self.library.sf_open_fd(descriptor, READ, ctypes.byref(info), 0)
        with Sound(self.library, handle, info) as sound:
            return sound.frames


class Sound:
    """An open file; ``frames`` counts samples per channel. Close it, or use it in ``with``."""

    def __init__(
        self,
        library: ctypes.CDLL,
        handle: int | None,
        info: _Info,
        source: "_Source | None" = None,
    ) -> None:
        self._library, self._handle, self._source = library, handle, source
        if not handle:
            raise SndfileError(library.sf_error(None))
        library.sf_command(handle, SET_CLIPPING, None, 1)  # otherwise too loud samples wrap around
        self.frames: int = info.frames
        self.samplerate: int = info.samplerate
        self.channels: int = info.channels
        self.format: int = info.format & TYPE
        self.floating = info.format & SUBTYPE in FLOATING

    def __enter__(self) -> "Sound":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish the file. Raises SndfileError."""
        handle, self._handle = self._handle, None
        if handle and (code := self._library.sf_close(handle)):
            raise SndfileError(code)

    def block(self, frames: int) -> Block:
        """An empty block of ``frames``, as ``read_into`` and ``write`` expect it."""
        kind = ctypes.c_float if self.floating else ctypes.c_int
        return (kind * (frames * self.channels))()

    def read_into(self, block: Block, frames: int) -> int:
        """Fill the front of ``block``; returns the frames read, 0 at the end. Integers are read as
        32 bits, floats as they are stored. Raises SndfileError."""
        return self._move("read", block, frames)

    def write(self, block: Block, frames: int) -> None:
        """Append ``frames`` of ``block``, floats clipped to [-1, 1]. Raises SndfileError."""
        self._move("write", block, frames)

    def _move(self, action: str, block: Block, frames: int) -> int:
        kind = "float" if block._type_ is ctypes.c_float else "int"
        moved: int = getattr(self._library, f"sf_{action}f_{kind}")(self._handle, block, frames)
        if self._source is not None:
            self._source.check()
        if code := self._library.sf_error(self._handle):
            raise SndfileError(code)
        return moved


_view = ctypes.pythonapi.PyMemoryView_FromMemory
_view.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]
_view.restype = ctypes.py_object
_WRITABLE = 0x200


class _Source:
    """``parts`` as libsndfile reads them.

    ``failure``: the exception of a callback, which C cannot raise. libsndfile only sees that
    nothing more comes, and who called libsndfile raises it.
    """

    def __init__(self, parts: Parts) -> None:
        self.failure: BaseException | None = None
        self._parts = parts
        self.virtual = _Virtual(
            _LENGTH(self._safely(self._length, -1)),
            _SEEK(self._safely(lambda offset, whence, _: parts.seek(offset, whence), -1)),
            _MOVE(
                self._safely(
                    lambda target, count, _: parts.readinto(_view(target, count, _WRITABLE)), 0
                )
            ),
            _MOVE(lambda *_: 0),
            _LENGTH(self._safely(lambda _: parts.tell(), -1)),
        )

    def check(self) -> None:
        """Raise what a callback could not."""
        if self.failure is not None:
            raise self.failure

    def _safely(self, call: Callable[..., int], failed: int) -> Callable[..., int]:
        def safe(*arguments: Any) -> int:
            if self.failure is None:
                try:
                    return call(*arguments)
                except BaseException as error:
                    self.failure = error
            return failed

        return safe

    def _length(self, _: object) -> int:
        at = self._parts.tell()
        end = self._parts.seek(0, os.SEEK_END)
        self._parts.seek(at)
        return end
