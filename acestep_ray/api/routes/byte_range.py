"""Range and conditional headers of one file, by RFC 9110 (sections 13 and 14)."""

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Span:
    """Bytes ``start`` to ``end`` (excluded) of ``size``."""

    start: int
    end: int
    size: int

    @property
    def content_range(self) -> str:
        """The value of the header Content-Range."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


class Unsatisfiable(Exception):
    """The whole range is outside the file (416)."""


def choose_span(
    size: int, etag: str, range_header: str | None, if_range: str | None
) -> Span | None:
    """The requested part of the file; None for the whole file.

    Everything except one well-formed byte range is ignored, also several ranges, as the RFC allows.
    A range whose If-Range names another version (or a date, which the service never sends) is
    ignored too. Raises Unsatisfiable.
    """
    match = _RANGE.fullmatch((range_header or "").strip())
    if not match or (if_range is not None and if_range.strip() != etag):
        return None
    first, last = match[1], match[2]
    if not first and not last:
        return None
    if not first:
        start, end = max(0, size - int(last)), size
        if int(last) == 0:
            raise Unsatisfiable
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, end, size)


def matches(etag: str, if_none_match: str | None) -> bool:
    """Whether the client has this version already (304)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags
