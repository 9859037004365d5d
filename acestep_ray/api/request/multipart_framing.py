"""Splits a multipart body into the headers and the data of its parts, while it arrives.

It accepts what programs send and RFC 2046 (section 5.1) allows: a preamble, an epilogue, blanks
after a boundary, a part without a body; and also lines that end with only LF or CR. The result does
not depend on how the network divides the body. Why no library does this:
docs/adr/0016-own-multipart-framing.md.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Literal

from acestep_ray.api.problems import Problem, ProblemCode, printable
from acestep_ray.api.request.content_type import HEADER_CURE

_MAX_HEADERS = 4096
_MAX_PREAMBLE = 1 << 16
_MAX_BOUNDARY = 256
_MAX_BLANKS = 64
_START = 1000

# A line's end before another one. Each is CRLF, LF or CR, and the second must have arrived
# completely.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?=\r\n|\n|\r[^\n])")

Piece = tuple[Literal["headers", "data"], bytes]


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    DATA = auto()
    EPILOGUE = auto()


class Framing:
    """One body. Between calls it keeps only an incomplete delimiter or incomplete headers."""

    def __init__(self, boundary: bytes) -> None:
        """Raises Problem 400 for a boundary that is empty or too long."""
        if not boundary:
            raise malformed(f"The Content-Type names no multipart boundary. {HEADER_CURE}")
        if len(boundary) > _MAX_BOUNDARY:
            raise malformed(f"The multipart boundary has over {_MAX_BOUNDARY} characters.")
        self._mark = b"--" + boundary
        # The line's end after a boundary is not removed: it may also be the one before a blank
        # line.
        self._delimiter = re.compile(
            rb"[\r\n]%b(?:(--)|[ \t]{0,%d}(?=[\r\n]))" % (re.escape(self._mark), _MAX_BLANKS)
        )
        self._state = _State.PREAMBLE
        self._start = b""
        # As if a line had ended before the body: so the first boundary is found like the others.
        self._buffer = bytearray(b"\n")
        self._skip = 0
        self._preamble = 0

    def feed(self, data: bytes) -> Iterator[Piece]:
        """The new pieces: of each part its headers, then its data in any number of pieces.

        Raises Problem 400 if the boundary is missing, or if a part's headers do not end.
        """
        if self._state is _State.PREAMBLE:
            self._start = (self._start + data)[:_START]
        self._buffer += data
        while self._state is not _State.EPILOGUE:
            if self._state is _State.HEADERS:
                headers = self._headers()
                if headers is None:
                    return
                yield "headers", headers
                continue
            in_part = self._state is _State.DATA
            content, at_end = self._content()
            if in_part and content:
                yield "data", content
            elif not in_part:
                self._preamble += len(content)
                if self._preamble > _MAX_PREAMBLE:
                    raise self._no_boundary()
            if not at_end:
                return
        self._buffer.clear()  # what follows the last boundary is ignored

    def finish(self) -> None:
        """Check the end of the body. Raises Problem 400 if the body is incomplete."""
        if self._state is _State.PREAMBLE:
            raise self._no_boundary()
        if self._state is not _State.EPILOGUE:
            raise malformed(f"The multipart body ends before its last boundary, {self._shown}--.")

    def _headers(self) -> bytes | None:
        """The headers of a part; None until they have arrived completely."""
        buffer = self._buffer
        match = _BLANK_LINE.search(buffer)
        if (match.start() if match else len(buffer) - 4) > _MAX_HEADERS:
            raise malformed(f"A part of the form has over {_MAX_HEADERS} bytes of headers.")
        if match is None:
            return None
        headers = bytes(buffer[: match.start()])
        del buffer[: match.end()]
        # The blank line's own end is not removed either: a boundary may follow at once.
        self._skip = 2 if buffer.startswith(b"\r\n") else 1
        self._state = _State.DATA
        return headers

    def _content(self) -> tuple[bytes, bool]:
        """The known data before the next delimiter, and whether that delimiter was found."""
        buffer = self._buffer
        # Most of a file contains no boundary, and find is much faster than the expression.
        match = self._delimiter.search(buffer) if self._mark in buffer else None
        if match:
            stop = match.start()
            if stop and buffer[stop - 1 : stop + 1] == b"\r\n":
                stop -= 1
            self._state = _State.EPILOGUE if match[1] else _State.HEADERS
        else:
            stop = self._undecided()
        content = bytes(buffer[self._skip : stop])
        del buffer[: match.end() if match else stop]
        if match or stop:
            self._skip = 0
        return content, match is not None

    def _undecided(self) -> int:
        """The index from which the rest of the buffer may be the beginning of a delimiter."""
        buffer = self._buffer
        last = max(buffer.rfind(b"\n"), buffer.rfind(b"\r"))
        if last < 0 or len(buffer) - last > len(self._mark) + _MAX_BLANKS + 2:
            return len(buffer)
        line = bytes(buffer[last + 1 :])
        rest = line[len(self._mark) :].strip(b" \t")
        if not self._mark.startswith(line[: len(self._mark)]) or rest not in (b"", b"-"):
            return len(buffer)
        return last - buffer.endswith(b"\r\n" + line)

    @property
    def _shown(self) -> str:
        return printable(self._mark.decode("utf-8", "replace"))

    def _no_boundary(self) -> Problem:
        first = next((line for line in self._start.splitlines() if line.startswith(b"--")), b"")
        found = printable(first[:72].decode("utf-8", "replace"))
        return malformed(
            f"The body does not have the boundary that the Content-Type names, {self._shown}"
            + (f"; it has {found}. " if found else ". ")
            + HEADER_CURE
        )


def malformed(detail: str) -> Problem:
    """A 400 for a body that cannot be read."""
    return Problem(ProblemCode.MALFORMED_BODY, detail)
