"""Tags that programs put before, behind and between files of any kind: ID3, APE and Lyrics3."""

import os

ID3V1 = 128
ID3V2 = 10
APE = 32
LYRICS = b"LYRICSBEGIN"
LYRICS_FOOTER = 15
MOST_TAGS = 16


def id3_length(head: bytes) -> int:
    """How many bytes an ID3v2 tag has in total, from its first ten."""
    length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]  # seven bits per byte
    return 10 + length + (10 if head[5] & 0x10 else 0)


def tag_length(head: bytes) -> int:
    """How many bytes the tag has that begins with ``head`` (its first 32 bytes); 0 if it is no tag.

    Of a Lyrics3 tag only the beginning is counted: its length is stored at its end.
    """
    if head[:3] == b"ID3" and len(head) >= ID3V2:
        return id3_length(head)
    if head[:3] == b"TAG":
        return ID3V1
    if head[:8] == b"APETAGEX" and len(head) >= APE:
        at_front = head[23] & 0x20  # otherwise it is a footer, and its content is before it
        return APE + (int.from_bytes(head[12:16], "little") if at_front else 0)
    if head[:11] == LYRICS:
        return len(LYRICS)
    return 0


def end_before_tags(file: int) -> int:
    """Where in ``file`` the tags begin that can be recognised from its end. Blocking."""
    end = os.fstat(file).st_size
    for _ in range(MOST_TAGS):
        length = _length_of_last(file, end)
        if not 0 < length <= end:
            break
        end -= length
    return end


def _length_of_last(file: int, end: int) -> int:
    """How many bytes the tag has that ends at ``end``; 0 if there is none."""
    if end > ID3V1 and os.pread(file, 3, end - ID3V1) == b"TAG":
        return ID3V1
    footer = os.pread(file, APE, max(0, end - APE))[:end]
    if footer[:8] == b"APETAGEX" and len(footer) == APE:
        header = APE if footer[23] & 0x80 else 0
        return int.from_bytes(footer[12:16], "little") + header
    if footer[-9:] == b"LYRICS200" and footer[-LYRICS_FOOTER:-9].isdigit():
        return int(footer[-LYRICS_FOOTER:-9]) + LYRICS_FOOTER
    if footer[-ID3V2:-7] == b"3DI":
        return id3_length(footer[-ID3V2:])
    return 0
