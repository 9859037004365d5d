"""Open a file that a client names by its path on the server, if it may be read."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

OUTSIDE = "The path must be absolute and lie under a folder that the server allows."
LONGEST = 4096


class PathRefused(Exception):
    """The file may not, or cannot, be read. The message is one sentence.

    Of what lies outside the allowed folders it never shows whether it exists.
    """


class OutsideRoots(PathRefused):
    """The path does not lie under an allowed folder. The message is always the same."""

    def __init__(self) -> None:
        super().__init__(OUTSIDE)


def open_under(path: str | os.PathLike[str], roots: Sequence[Path]) -> int:
    """Open the regular file at ``path`` for reading; answers its descriptor, the caller's to close.

    ``path`` is absolute and, with every link followed, lies under one of ``roots`` (absolute, links
    resolved). The kernel is asked where the opened file really is, so a link that changes between
    the check and the opening gains nothing; and nothing is opened for reading before it is known to
    be a regular file, since opening a device can act and opening a pipe can wait. Raises
    PathRefused, and OutsideRoots where it lies elsewhere.
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
        raise OutsideRoots from None  # a link that changed while it was read
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
