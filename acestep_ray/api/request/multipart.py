"""Reads a multipart form while it arrives: texts into memory, files into a folder."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from acestep_ray.api.problems import Problem, ProblemCode, printable
from acestep_ray.api.request.aliases import FILE_NAMES, TEXT_NAMES
from acestep_ray.api.request.content_type import Media, codec_of
from acestep_ray.api.request.folder import Folder, no_room
from acestep_ray.api.request.form_fields import CHARSET, gather, split_name
from acestep_ray.api.request.multipart_framing import Framing, malformed
from acestep_ray.api.request.multipart_parts import (
    FILES_CURE,
    FilePart,
    PartHeaders,
    TextPart,
    Upload,
)
from acestep_ray.settings import Limits

MAX_PARTS = 500
_WRITE_BYTES = 1 << 20


@dataclass
class Form:
    """``ignored``: names of unknown parts; their bytes were read and dropped. ``unknown_files``:
    those of them that are files.

    ``repeated``: names that were sent more than once.
    """

    fields: dict[str, object] = field(default_factory=dict)
    files: dict[str, Upload] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    unknown_files: tuple[str, ...] = ()


async def read_multipart(
    chunks: AsyncIterator[bytes],
    media: Media,
    limits: Limits,
    folder: Folder,
    also: frozenset[str] = frozenset(),
) -> Form:
    """Read a form. All text fields together may have ``limits.text_bytes``; ``also``: names of text
    fields in addition to those of GenerateRequest.

    A part of a file field is a file, with any file name or none. There are two exceptions. An empty
    part without a file name is not a file: browsers send it for a file input that was left empty.
    A text without a file name (``curl -F src_audio=song.mp3``) becomes a text field, so that the
    response can explain the mistake. A file under the name of a text field
    (``curl -F lyrics=@song.txt``) is that field's text. Raises Problem (400, 413, 503).
    """
    reader = _Reader(media, limits.text_bytes, folder, also)
    try:
        async for chunk in chunks:
            # Chunks may be large if a proxy has gathered them; the parser is pure Python.
            for start in range(0, len(chunk), _WRITE_BYTES):
                reader.feed(chunk[start : start + _WRITE_BYTES])
                if reader.pending:
                    await asyncio.to_thread(reader.write)
        return reader.form()
    except OSError as error:
        raise no_room(error) from error
    finally:
        reader.close()


class _Reader:
    """Sorts the parts while they arrive; ``write`` writes files, outside the event loop."""

    def __init__(self, media: Media, text_bytes: int, folder: Folder, also: frozenset[str]) -> None:
        self._framing = Framing(media.boundary)
        self._media = media
        self._text_bytes = text_bytes
        self._folder = folder
        self._text_names = TEXT_NAMES | also
        self._texts: list[TextPart] = []
        self._files: dict[str, FilePart] = {}
        self._ignored: dict[str, None] = {}
        self._repeated: dict[str, None] = {}
        self._unknown_files: dict[str, None] = {}
        self._text_size = 0
        self._parts = 0
        self._into: TextPart | FilePart | str | None = None

    @property
    def pending(self) -> bool:
        """Whether there is file data that must still be written."""
        return any(file.pending for file in self._files.values())

    def write(self) -> None:
        """Write the pending file data. Raises OSError, and Problem for a file with bad base64."""
        for file in self._files.values():
            file.write()

    def close(self) -> None:
        """Close the files; they are not removed."""
        for file in self._files.values():
            file.stream.close()

    def feed(self, data: bytes) -> None:
        """Read the next bytes of the body. Raises Problem."""
        for kind, piece in self._framing.feed(data):
            if kind == "headers":
                self._begin(PartHeaders.of(piece))
            else:
                self._take(piece)

    def form(self) -> Form:
        """The complete form. Raises Problem 400 if the body is incomplete, or if a text field is
        not text."""
        self._framing.finish()
        named = next((part.data for part in self._texts if part.headers.name == CHARSET), b"")
        codec = codec_of(named.decode("latin-1")) or self._media.charset
        texts = [part for part in self._texts if part.headers.name != CHARSET]
        pairs = [(part.headers.name, part.text(codec)) for part in texts]
        files = {}
        for name, part in self._files.items():
            if (text := part.mistaken_text()) is not None:
                pairs.append((name, text))
            elif upload := part.upload():
                files[name] = upload
        fields, repeated = gather(pairs)
        return Form(
            fields,
            files,
            tuple(self._ignored),
            (*repeated, *self._repeated),
            tuple(self._unknown_files),
        )

    def _begin(self, headers: PartHeaders) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise malformed(f"The form has over {MAX_PARTS} fields.")
        base = split_name(headers.name)[0]
        if base in self._text_names or headers.name == CHARSET:
            self._into = TextPart(headers)
            self._texts.append(self._into)
        elif base in FILE_NAMES:
            self._into = self._open(FILE_NAMES[base], headers)
        else:
            if headers.is_file:
                self._ignored[headers.name] = None
            if headers.named:
                self._unknown_files[headers.name] = None
            self._into = headers.name

    def _open(self, name: str, headers: PartHeaders) -> FilePart | None:
        if earlier := self._files.get(name):
            if not earlier.empty:
                self._repeated[name] = None
                return None
            earlier.stream.close()
        # The client's file name is not used: neither in a path nor in storage.
        part = self._files[name] = FilePart(headers, self._folder / name)
        return part

    def _take(self, data: bytes) -> None:
        part = self._into
        if isinstance(part, FilePart):
            part.pending.append(data)
        elif isinstance(part, str):
            self._ignored[part] = None
        elif part is not None:
            self._text_size += len(data)
            if self._text_size > self._text_bytes:
                name = printable(part.headers.name)[:60]
                most = f"all text of a form may have {self._text_bytes:,} bytes"
                raise Problem(
                    ProblemCode.BODY_TOO_LARGE, f"{name} is too large: {most}. {FILES_CURE}"
                )
            part.data += data
