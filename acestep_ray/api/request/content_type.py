"""Reads a Content-Type header: type, charset and boundary of a body."""

import codecs
import re
from dataclasses import dataclass
from encodings import normalize_encoding
from encodings.aliases import aliases
from typing import Literal

from python_multipart.multipart import parse_options_header

from acestep_ray.api.problems import Problem, ProblemCode

SUPPORTED = "application/json, application/x-www-form-urlencoded, multipart/form-data"
AUDIO_CURE = "Audio is sent as a file of a multipart/form-data body."
HEADER_CURE = (
    "Leave that header to the HTTP client: it writes the type with the boundary of the body there."
)
"""What to do if a client's code sets the Content-Type of a form by itself."""

# Some of Python's codecs are not character sets, and some of them are slow or unsafe. These are the
# modules of good ones; the table has all their names. (codecs.lookup must not be used as the check:
# it keeps every unknown name that it gets in memory, of any length.)
_MODULES = frozenset(
    (
        *("utf_8", "utf_8_sig", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "ascii", "latin_1"),
        *("iso8859_2", "iso8859_15", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255"),
        *("cp1256", "cp1257", "cp1258", "koi8_r", "gb18030", "gbk", "gb2312", "big5"),
        *("shift_jis", "cp932", "euc_jp", "euc_kr"),
    )
)
_CODECS = {
    name: codecs.lookup(module).name
    for name, module in (*aliases.items(), *zip(_MODULES, _MODULES, strict=True))
    if module in _MODULES
}
_COMMA = re.compile(r"(multipart/form-data *),", re.IGNORECASE)

Kind = Literal["json", "multipart", "form", "other"]


@dataclass(frozen=True)
class Media:
    """``charset``: name of a codec; empty if the header names none."""

    type: str
    kind: Kind
    charset: str
    boundary: bytes

    @property
    def is_audio(self) -> bool:
        """Whether the body's type is audio or video, as if the whole body were one file."""
        return self.type.startswith(("audio/", "video/"))

    def decode(self, data: bytes) -> str:
        """Text of a body. Raises Problem 400."""
        try:
            # Windows programs begin UTF-8 with a mark that is not part of the text.
            return data.decode(self.charset or "utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError:
            detail = f"The body is not {self.charset or 'utf-8'} text."
            if b"\0" in data:
                detail += f" {AUDIO_CURE}"
            raise Problem(ProblemCode.MALFORMED_BODY, detail) from None


def read_media(header: str | None) -> Media:
    """Parse a Content-Type header. Raises Problem 415 for a charset that is not known."""
    # The examples of RFC 1867, which people still copy, have a comma before the boundary.
    header = header and _COMMA.sub(r"\1;", header)
    kind_bytes, options = parse_options_header(header)
    name = kind_bytes.decode("latin-1").strip().lower()
    kind: Kind = "other"
    if name == "application/json" or (name.startswith("application/") and name.endswith("+json")):
        kind = "json"
    elif name == "multipart/form-data":
        kind = "multipart"
    elif name == "application/x-www-form-urlencoded":
        kind = "form"
    charset = codec_of(options.get(b"charset", b"").decode("latin-1"))
    return Media(name, kind, charset, options.get(b"boundary", b""))


def unsupported_type(media: Media, why: str = "") -> Problem:
    """A 415 that lists the supported types."""
    return Problem(
        ProblemCode.UNSUPPORTED_MEDIA_TYPE,
        f"Unsupported Content-Type: {media.type or '(missing)'}{why}; use one of {SUPPORTED}. "
        f"{AUDIO_CURE}",
        headers={"Accept-Post": SUPPORTED},
    )


def codec_of(charset: str) -> str:
    """The codec of a charset; empty if ``charset`` is. Raises Problem 415 for an unknown one."""
    name = charset.strip().strip("'\"")
    if not name:
        return ""
    codec = _CODECS.get(normalize_encoding(name[:40].lower()))
    if codec is None:
        raise Problem(
            ProblemCode.UNSUPPORTED_MEDIA_TYPE, f"Unknown charset {name[:40]!r}; use utf-8."
        )
    return codec
