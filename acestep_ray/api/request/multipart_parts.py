"""One part of a multipart form: its headers, and its bytes in memory or in a file."""

import binascii
import codecs
import hashlib
import re
from dataclasses import dataclass, field
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import BinaryIO

from python_multipart.multipart import parse_options_header

from acestep_ray.api.problems import Problem, printable
from acestep_ray.api.request.content_type import codec_of
from acestep_ray.api.request.multipart_framing import malformed

FILES_CURE = "Audio is sent as the file src_audio or reference_audio."
_EXTENDED = re.compile(r";\s*filename\*(?:0\*?)?\s*=\s*([^;\s]*)", re.IGNORECASE)
"""A file name in the form of RFC 5987 and RFC 2231."""
_HEAD = 4096
"""So many bytes from the start of a file are used to distinguish text from audio."""


@dataclass(frozen=True)
class Upload:
    """A file of the form, unchanged; or a take that stands for one, named by the field
    ``named_by``."""

    path: Path
    size: int
    sha256: str
    named_by: str = ""


@dataclass(frozen=True)
class PartHeaders:
    """A part's headers. ``is_file``: it has a file name. ``named``: the file name is not empty.

    ``charset``: that of the part's own Content-Type. ``encoding``: its Content-Transfer-Encoding.
    RFC 7578 deprecates it, but programs that build a form like a mail send it, so base64 and
    quoted-printable are decoded. With any other encoding the bytes are not changed.
    """

    name: str
    is_file: bool
    named: bool
    charset: str
    encoding: str

    @classmethod
    def of(cls, block: bytes) -> "PartHeaders":
        """Read a part's header lines. Raises Problem 400 for a part without a name."""
        # Windows programs write file names in their code page: latin-1 can decode any bytes.
        headers = HeaderParser().parsestr(block.decode("latin-1").lstrip("\r\n"))
        disposition = _line(headers, "content-disposition")
        _, options = parse_options_header(disposition)
        if b"name" not in options:
            raise malformed("A part of the form has no name.")
        name = options[b"name"].decode("utf-8", "replace")
        filename = options.get(b"filename")
        if filename is None and (extended := _EXTENDED.search(disposition)):
            filename = extended[1].encode("latin-1")
        _, content = parse_options_header(_line(headers, "content-type"))
        charset = content.get(b"charset", b"").decode("latin-1")
        encoding = _line(headers, "content-transfer-encoding").strip().lower()
        return cls(name, filename is not None, bool(filename), charset, encoding)

    def wrong(self, why: str) -> Problem:
        """A 400 that names the part."""
        return malformed(f"The form's field {printable(self.name)[:60]} {why}")


@dataclass
class TextPart:
    """A text field, as far as it has arrived."""

    headers: PartHeaders
    data: bytearray = field(default_factory=bytearray)

    def text(self, default: str) -> str:
        """The text, decoded by the part's own charset or, without one, by the codec ``default``.

        Raises Problem 400, and 415 for an unknown charset.
        """
        data = bytes(self.data)
        if self.headers.encoding == "quoted-printable":
            data = binascii.a2b_qp(data)
        elif self.headers.encoding == "base64":
            try:
                data = binascii.a2b_base64(data)
            except binascii.Error:
                raise self.headers.wrong("is not base64.") from None
        codec = codec_of(self.headers.charset) or default or "utf-8"
        try:
            text = data.decode(codec).removeprefix("\ufeff")
        except UnicodeDecodeError:
            cure = "Send UTF-8, or name its charset in the Content-Type of the part."
            if self.headers.is_file or b"\0" in data:
                cure = FILES_CURE
            raise self.headers.wrong(f"is not {codec} text. {cure}") from None
        # Editors write a line's end after the last line of a file; it is not part of the value.
        return text.rstrip("\r\n") if self.headers.is_file else text


class FilePart:
    """A file, which is written to ``path`` while it arrives."""

    def __init__(self, headers: PartHeaders, path: Path) -> None:
        if headers.encoding == "quoted-printable":
            raise headers.wrong("is a file in quoted-printable; send its bytes as they are.")
        self.headers = headers
        self.path = path
        self.stream: BinaryIO = path.open("wb")
        self.pending: list[bytes] = []
        self._size = 0
        self._digest = hashlib.sha256()
        self._start = b""
        self._rest = b""

    @property
    def empty(self) -> bool:
        """Whether this looks, so far, like the empty part that a browser sends for a file input
        without a file."""
        return not (self.headers.named or self.pending or self._size)

    def write(self) -> None:
        """Write what is pending. Raises OSError, and Problem 400 if it is not legal base64."""
        data = b"".join(self.pending)
        self.pending.clear()
        if self.headers.encoding == "base64":
            data = self._rest + data.translate(None, b" \t\r\n")
            whole = len(data) // 4 * 4
            self._rest = data[whole:]
            try:
                data = binascii.a2b_base64(data[:whole])
            except binascii.Error:
                raise self.headers.wrong("is not base64.") from None
        if len(self._start) < _HEAD:
            self._start = (self._start + data)[:_HEAD]
        self._size += len(data)
        self._digest.update(data)
        self.stream.write(data)

    def mistaken_text(self) -> str | None:
        """The start of the text that was sent instead of a file; None if the part is a file.

        It is text if the part has no file name and, unlike audio, begins with text or is empty.
        """
        if self.headers.is_file:
            return None
        try:
            text = codecs.getincrementaldecoder("utf-8")().decode(self._start)
        except UnicodeDecodeError:
            return None
        plain = all(char.isprintable() or char.isspace() for char in text)
        return text if plain else None

    def upload(self) -> Upload | None:
        """The complete file; None for an empty one without a name. Raises Problem 400."""
        if self._rest:
            raise self.headers.wrong("is not base64: its end is missing.")
        if self.empty:
            return None
        return Upload(self.path, self._size, self._digest.hexdigest())


def _line(headers: Message, name: str) -> str:
    """A header's value, in one line even if it was folded."""
    return "".join(str(headers.get(name, "")).splitlines())
