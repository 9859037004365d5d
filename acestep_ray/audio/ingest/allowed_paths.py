"""Open a file that a client names by its path on the server, if it may be read."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

OUTSIDE = "The path must be absolute and lie under a folder that the server allows."
LONGEST = 4096


class PathRefused(Exception):
    """The file may not, or cannot, be read. The message is one sentence.

    For a path outside the allowed folders it never shows whether the file exists.
    """


class OutsideRoots(PathRefused):
    """The path is not inside an allowed folder. The message is always the same."""

    def __init__(self) -> None:
        super().__init__(OUTSIDE)


def open_under(path: str | os.PathLike[str], roots: Sequence[Path]) -> int:
    """Open the regular file at ``path`` for reading; returns its descriptor, which the caller
    closes.

    ``path`` is absolute and, after all links are followed, inside one of ``roots`` (absolute, links
    resolved). The kernel reports where the opened file really is, so a link that is changed between
    the check and the opening has no effect. Nothing is opened for reading before it is known to be
    a regular file, because opening a device can have effects, and opening a pipe can block. Raises
    PathRefused, and OutsideRoots if the file is elsewhere.
    """
    name = os.fspath(path)
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        raise OutsideRoots from None
    if not name.startswith("/") or "\0" in name or len(encoded) > LONGEST:
        raise OutsideRoots
    try:
        real = Path(os.path.realpath(name))
    except OSError:
        raise OutsideRoots from None  # a link that was changed while it was read
    if not _allowed(real, roots):
        raise OutsideRoots
    try:
        place = os.open(real, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        raise PathRefused("There is no such file.") from None
    try:
        return _open_place(place, roots)
    finally:
        os.close(place)


def _open_place(place: int, roots: Sequence[Path]) -> int:
    handle = Path(f"/proc/self/fd/{place}")
    if not _allowed(handle.readlink(), roots):
        raise OutsideRoots
    if not stat.S_ISREG(os.fstat(place).st_mode):
        raise PathRefused("The path must name a regular file.")
    try:
        return os.open(handle, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        raise PathRefused("The server may not read this file.") from None


def _allowed(real: Path, roots: Sequence[Path]) -> bool:
    return any(real.is_relative_to(root) for root in roots)
