"""Ogg: its pages, and the streams that follow one another in a file.

Of a chain (what a radio sends, or what `cat` makes of several files) libsndfile reads only the
first stream, and it reads nothing of a page that is cut off.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from acestep_ray.audio.ingest.layout.parts import Layout, Malformed, Part, Window
from acestep_ray.audio.ingest.layout.stated_length import Extent

HEAD = 27
MOST_LINKS = 1_000
CONTINUED, FIRST, LAST = 1, 2, 4
NO_POSITION = 0xFFFF_FFFF_FFFF_FFFF
"""The position of a page on which no packet ends."""
LONGEST = 65_307
"""Bytes of a page's header."""
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Each byte with its bits in reverse order."""


@dataclass(frozen=True)
class Page:
    """``position``: samples up to its end. ``lacing``: lengths of the body's pieces; a packet ends
    with a length below 255. ``end`` may be after the file's end; ``gap``: other data was before the
    page.
    """

    start: int
    end: int
    flags: int
    position: int
    serial: int
    sequence: int
    lacing: bytes
    gap: bool


def pages(window: Window, start: int, end: int) -> Iterator[Page]:
    """The pages from ``start``. The last one need not be whole. Bytes that look like a page, come
    after other data and are too short for a header are not counted as a page."""
    at, gap = start, False
    while (found := window.find(b"OggS", at, end)) >= 0:
        gap, at = found != at, found
        head = window.read(at, HEAD)
        lacing = window.read(at + HEAD, head[26]) if len(head) == HEAD else b""
        short = len(head) < HEAD or len(lacing) < head[26]
        if short and gap:
            return
        yield Page(
            start=at,
            end=end + 1 if short else at + HEAD + len(lacing) + sum(lacing),
            flags=0 if short else head[5],
            position=int.from_bytes(head[6:14], "little"),
            serial=int.from_bytes(head[14:18], "little"),
            sequence=int.from_bytes(head[18:22], "little"),
            lacing=lacing,
            gap=gap,
        )
        at += HEAD + len(lacing) + sum(lacing)


def ogg(file: int, start: int, end: int) -> Layout:
    """The layout of the file from ``start``, where a page begins. Raises Malformed."""
    window = Window(file)
    links: list[list[Part]] = []
    begin = at = start
    sound, damaged = False, False
    positions: list[int] = []  # first and last of the stream
    held = 0
    for page in pages(window, start, end):
        damaged = damaged or page.gap
        if page.flags & FIRST and sound:
            links.append([(begin, at)])
            held += positions[-1] - positions[0] if positions else 0
            begin, at, sound, positions = page.start, page.start, False, []
            if len(links) > MOST_LINKS:
                raise Malformed("The Ogg file is a chain of too many pieces.")
        if page.end > end:
            link: list[Part] = [(begin, at)] if begin < at else []
            if not page.flags & LAST or page.position == NO_POSITION:
                return Layout([*links, link] if link else links, open_end=True, damaged=damaged)
            first, before = (positions[0], positions[-1]) if positions else (0, 0)
            rest, position = _shortened(window, page, before, end)
            lost = max(0, page.position - position)
            extent = Extent(max(1, held + position - first), lost)
            return Layout([*links, [*link, rest]], extent, damaged=damaged)
        at = page.end
        sound = sound or not page.flags & FIRST
        if page.position not in (0, NO_POSITION):
            positions = [*positions[:1], page.position]
    links.append([(begin, at)])
    return Layout(links, damaged=damaged)


def _shortened(window: Window, page: Page, before: int, end: int) -> tuple[bytes, int]:
    """The page that goes beyond ``end``, rebuilt from its whole packets, and its position.

    Only decoding could show how many samples each packet has: they are assumed to be equal.
    """
    body_at = page.start + HEAD + len(page.lacing)
    body = window.read(body_at, end - body_at)
    at = packets_end = pieces = 0
    for index, length in enumerate(page.lacing, 1):
        at += length
        if at > len(body):
            break
        if length < 255:
            packets_end, pieces = at, index
    share = packets_end / max(1, sum(page.lacing))
    position = before + int((page.position - before) * share)
    made = replace(
        page, flags=page.flags & CONTINUED | LAST, position=position, lacing=page.lacing[:pieces]
    )
    return _written(made, body[:packets_end]), position


def _written(page: Page, body: bytes) -> bytes:
    """The bytes of a page, with its checksum."""
    front = b"OggS" + struct.pack(
        "<BBQII", 0, page.flags, page.position % (1 << 64), page.serial, page.sequence
    )
    back = bytes([len(page.lacing)]) + page.lacing + body
    return front + struct.pack("<I", _checksum(front + bytes(4) + back)) + back


def _checksum(page: bytes) -> int:
    """Ogg's checksum: zlib's without its first and last inversion, and with the bits reversed."""
    crc = zlib.crc32(page.translate(MIRRORED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(MIRRORED), "big")


def ends_inside_page(file: int) -> bool:
    """Whether the last page goes beyond the end of ``file``; zeros after it do not count.

    Blocking.
    """
    window = Window(file)
    end = os.fstat(file).st_size
    used = window.end_of_content(0, end)
    last = None
    for page in pages(window, max(0, used - 2 * LONGEST), end):  # at least one from its beginning
        last = page
    return last is not None and last.end > end
