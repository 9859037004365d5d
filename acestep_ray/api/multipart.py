"""Reads a multipart form as it streams in: fields into memory, files into a folder."""

import asyncio
import errno
import hashlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from acestep_ray.api.aliases import FILE_NAMES, TEXT_NAMES
from acestep_ray.api.media import Media
from acestep_ray.api.problems import Problem, printable
from acestep_ray.settings import Limits

MAX_PARTS = 500
_WRITE_BYTES = 1 << 20

# It warns of every byte that is wrong in a body; the client hears of it, and it is no news to us.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Upload:
    """A file of the form, as it came."""

    path: Path
    size: int
    sha256: str


@dataclass
class Form:
    """``ignored`` names the files that are none of ours; their bytes were read and dropped.

    ``repeated`` names what came more than once.
    """

    fields: dict[str, object] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


async def read_multipart(
    chunks: AsyncIterator[bytes], media: Media, limits: Limits, folder: Path
) -> Form:
    """Read a form. All fields together stay within ``limits.text_bytes``.

    The first part of a name counts. A file part without a name and bytes is what browsers send for
    a file input that was left empty: not sent. A file under the name of a text field
    (``curl -F lyrics=@song.txt``) is that field's text. Raises Problem (400, 413).
    """
    reader = _Reader(media, limits.text_bytes, folder)
    try:
        parser = MultipartParser(
            media.boundary,
            {
                "on_part_begin": reader.begin,
                "on_header_field": reader.header_name,
                "on_header_value": reader.header_value,
                "on_header_end": reader.header_end,
                "on_headers_finished": reader.headers_finished,
                "on_part_data": reader.data,
                "on_part_end": reader.end_part,
                "on_end": reader.end,
            },
        )
        async for chunk in chunks:
            # Chunks may be large where a proxy gathered them; the parser is plain Python.
            for start in range(0, len(chunk), _WRITE_BYTES):
                parser.write(chunk[start : start + _WRITE_BYTES])
                if reader.pending:
                    await asyncio.to_thread(reader.write)
        parser.finalize()
    except FormParserError as error:
        raise Problem(400, "malformed_body", f"The multipart body is malformed: {error}.") from None
    except OSError as error:
        raise no_room(error) from error
    finally:
        reader.close()
    if not reader.ended:
        raise Problem(400, "malformed_body", "The multipart body ends before its last boundary.")
    return reader.form()


def no_room(error: OSError) -> Problem:
    """What a client hears when a file of its request cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "its disk is full" if full else "its disk fails"
    detail = f"The server cannot take files right now: {why}."
    return Problem(503, "storage_unavailable", detail, headers={"Retry-After": "5"})


@dataclass
class _File:
    path: Path
    stream: BinaryIO
    named: bool
    size: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    pending: list[bytes] = field(default_factory=list)


class _Reader:
    """The parser's callbacks; files are written by ``write``, away from the event loop."""

    def __init__(self, media: Media, text_bytes: int, folder: Path) -> None:
        if not media.boundary:
            raise Problem(400, "malformed_body", "The Content-Type names no multipart boundary.")
        self.ended = False
        self._media = media
        self._text_bytes = text_bytes
        self._folder = folder
        self._texts: dict[str, bytearray] = {}
        self._files: dict[str, _File] = {}
        self._text_files: set[str] = set()
        self._ignored: dict[str, None] = {}
        self._repeated: dict[str, None] = {}
        self._text_size = 0
        self._parts = 0
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._into: bytearray | _File | None = None

    @property
    def pending(self) -> bool:
        """Whether file data waits to be written."""
        return any(file.pending for file in self._files.values())

    def write(self) -> None:
        """Write what has come. Raises OSError."""
        for file in self._files.values():
            data = b"".join(file.pending)
            file.pending.clear()
            file.digest.update(data)
            file.stream.write(data)

    def close(self) -> None:
        """Close the files; they stay where they are."""
        for file in self._files.values():
            file.stream.close()

    def form(self) -> Form:
        """What came."""
        files = {
            name: Upload(file.path, file.size, file.digest.hexdigest())
            for name, file in self._files.items()
            if file.named or file.size
        }
        fields: dict[str, object] = {name: self._text(name) for name in self._texts}
        return Form(fields, files, tuple(self._ignored), tuple(self._repeated))

    def _text(self, name: str) -> str:
        try:
            text = self._media.decode(bytes(self._texts[name]))
        except Problem:
            raise Problem(
                400,
                "malformed_body",
                f"The form's field {printable(name)[:60]} is not "
                f"{self._media.charset or 'utf-8'} text.",
            ) from None
        # Editors end a file's last line; the line's end is no part of the value.
        return text.rstrip("\r\n") if name in self._text_files else text

    def begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise Problem(400, "malformed_body", f"The form has over {MAX_PARTS} fields.")
        self._disposition = b""
        self._into = None

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise Problem(400, "malformed_body", "A part of the form has no name.")
        name = self._media.decode(options[b"name"])
        is_file = b"filename" in options
        if not is_file or name in TEXT_NAMES:
            # A second field of the same name is read, for the limits' sake, and dropped.
            self._into = bytearray()
            if name in self._texts:
                self._repeated[name] = None
                return
            self._texts[name] = self._into
            if is_file:
                self._text_files.add(name)
        elif name in FILE_NAMES:
            self._open(FILE_NAMES[name], named=bool(options[b"filename"]))
        else:
            self._ignored[name] = None

    def _open(self, name: str, *, named: bool) -> None:
        if name in self._files:
            self._repeated[name] = None
            return
        # The client's file name goes nowhere: not into a path, not into storage.
        path = self._folder / name
        self._into = self._files[name] = _File(path, path.open("wb"), named)

    def data(self, data: bytes, start: int, end: int) -> None:
        if isinstance(self._into, _File):
            self._into.pending.append(data[start:end])
            self._into.size += end - start
        elif self._into is not None:
            self._text_size += end - start
            if self._text_size > self._text_bytes:
                raise Problem(
                    413,
                    "body_too_large",
                    f"The form's text is too large; at most {self._text_bytes:,} bytes are taken.",
                )
            self._into += data[start:end]

    def end_part(self) -> None:
        self._into = None

    def end(self) -> None:
        self.ended = True
