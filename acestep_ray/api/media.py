"""What a Content-Type header says about a body."""

import codecs
from dataclasses import dataclass
from typing import Literal

from python_multipart.multipart import parse_options_header

from acestep_ray.api.problems import Problem

SUPPORTED = "application/json, application/x-www-form-urlencoded, multipart/form-data"

# Python has codecs that are no character sets, slow ones and unsafe ones among them.
_CHARSETS = frozenset(
    codecs.lookup(name).name
    for name in (
        *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ascii"),
        *("latin-1", "cp1252", "cp1251", "koi8-r", "gb18030", "gbk", "gb2312", "big5"),
        *("shift_jis", "cp932", "euc_jp", "euc_kr"),
    )
)

Kind = Literal["json", "multipart", "form", "other"]


@dataclass(frozen=True)
class Media:
    """``charset`` is a codec's name; empty where none was named."""

    type: str
    kind: Kind
    charset: str
    boundary: bytes

    def decode(self, data: bytes) -> str:
        """Text of a body. Raises Problem 400."""
        try:
            # Windows programs begin UTF-8 with a mark that is no part of the text.
            return data.decode(self.charset or "utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError:
            raise Problem(
                400, "malformed_body", f"The body is not {self.charset or 'utf-8'} text."
            ) from None


def read_media(header: str | None) -> Media:
    """Parse a Content-Type header. Raises Problem 415 for a charset that is not known."""
    kind_bytes, options = parse_options_header(header)
    name = kind_bytes.decode("latin-1").strip().lower()
    kind: Kind = "other"
    if name == "application/json" or (name.startswith("application/") and name.endswith("+json")):
        kind = "json"
    elif name == "multipart/form-data":
        kind = "multipart"
    elif name == "application/x-www-form-urlencoded":
        kind = "form"
    return Media(name, kind, _charset(options.get(b"charset", b"")), options.get(b"boundary", b""))


def unsupported_type(media: Media, why: str = "") -> Problem:
    """A 415 that lists the types there are."""
    return Problem(
        415,
        "unsupported_media_type",
        f"Unsupported Content-Type: {media.type or '(missing)'}{why}; use one of {SUPPORTED}.",
        headers={"Accept-Post": SUPPORTED},
    )


def _charset(option: bytes) -> str:
    name = option.decode("latin-1").strip().strip("'\"")
    if not name:
        return ""
    try:
        codec = codecs.lookup(name).name
    except (LookupError, ValueError):
        codec = ""
    if codec not in _CHARSETS:
        raise Problem(
            415, "unsupported_media_type", f"Unknown charset {name[:40]!r}; use utf-8."
        ) from None
    return codec
