"""One part of a multipart form: what its headers say, and where its bytes go."""

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
"""A file name as RFC 5987 and RFC 2231 write it."""
_HEAD = 4096
"""Bytes that tell a text from audio."""


@dataclass(frozen=True)
class Upload:
    """A file of the form, as it came."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class PartHeaders:
    """A part's headers. ``is_file`` says that it has a file name, ``named`` that this is not empty.

    ``charset`` is what the part's own Content-Type names. ``encoding`` is its
    Content-Transfer-Encoding. RFC 7578 deprecates it, yet programs that build a form as they build
    a mail send it, so base64 and quoted-printable are undone. Any other: the bytes as they are.
    """

    name: str
    is_file: bool
    named: bool
    charset: str
    encoding: str

    @classmethod
    def of(cls, block: bytes) -> "PartHeaders":
        """Read a part's header lines. Raises Problem 400 for a part without a name."""
        # Windows programs name files in their code page: latin-1 takes any bytes.
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
    """A text field; what came of it so far."""

    headers: PartHeaders
    data: bytearray = field(default_factory=bytearray)

    def text(self, default: str) -> str:
        """The text, of the part's own charset or else of the codec ``default``.

        Raises Problem 400, and 415 for a charset that is not known.
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
        # Editors end a file's last line; the line's end is no part of the value.
        return text.rstrip("\r\n") if self.headers.is_file else text


class FilePart:
    """A file, written to ``path`` as it comes."""

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
        """Whether this is, so far, what a browser sends for a file input that was left empty."""
        return not (self.headers.named or self.pending or self._size)

    def write(self) -> None:
        """Write what is pending. Raises OSError, and Problem 400 where its base64 is none."""
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
        """The (start of the) text that came where the file belongs; None where it is a file.

        That is a part without a file name which begins as no audio does: with text, or nothing.
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
        """The file that came; None for an empty one without a name. Raises Problem 400."""
        if self._rest:
            raise self.headers.wrong("is not base64: its end is missing.")
        if self.empty:
            return None
        return Upload(self.path, self._size, self._digest.hexdigest())


def _line(headers: Message, name: str) -> str:
    """A header's value; where it was folded, in one line."""
    return "".join(str(headers.get(name, "")).splitlines())
