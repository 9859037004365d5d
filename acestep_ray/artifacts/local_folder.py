"""What artifact storage needs only if it is a folder: empty folders, unfinished files, fsync.

Blocking. A folder is removed with its last file. An unfinished file of a killed writer (such as
"1.mp3#1" for the key "1.mp3") is listed and deleted like any other; object_store itself hides it.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit


def root_of(url: str) -> Path | None:
    """The folder that a ``file:///`` URL names; None for another scheme. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    if parts.netloc or not parts.path.startswith("/"):
        raise ValueError(f"A file URL has three slashes and an absolute path: {url!r}")
    return Path(unquote(parts.path))


def files_under(root: Path, prefix: str) -> Iterator[tuple[str, int, datetime]]:
    """Key, size in bytes and time of change (UTC) of every file under the folder ``prefix`` ("":
    all)."""
    for folder, _, names in os.walk(root / prefix, onerror=_unless_gone):
        for name in names:
            path = Path(folder, name)
            try:
                stat = path.lstat()
            except FileNotFoundError:
                continue  # deleted since it was listed
            modified = datetime.fromtimestamp(stat.st_mtime, UTC)
            yield path.relative_to(root).as_posix(), stat.st_size, modified


def remove_files(root: Path, keys: list[str]) -> None:
    """Delete the files of ``keys`` that exist."""
    for key in keys:
        (root / key).unlink(missing_ok=True)
        prune(root, key)


def remove_folder(root: Path, prefix: str) -> int:
    """Delete the folder ``prefix`` with everything in it. Returns the number of files deleted.

    A file that is written into it meanwhile may remain, with its folder.
    """
    gone = 0
    for folder, _, names in os.walk(root / prefix, topdown=False, onerror=_unless_gone):
        for name in names:
            try:
                Path(folder, name).unlink()
            except FileNotFoundError:
                continue  # deleted by another process, or renamed to its key
            gone += 1
        _remove_if_empty(Path(folder))
    prune(root, prefix)
    return gone


def prune(root: Path, key: str) -> None:
    """Remove the empty folders above ``key``, but not ``root``."""
    for folder in (root / key).parents:
        if folder == root or not _remove_if_empty(folder):
            return


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # it is not empty
    return True


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def make_durable(root: Path, key: str) -> None:
    """Write the file under ``key``, and its entries in folders, to disk before this returns."""
    path = root / key
    for entry in (path, *path.parents):
        try:
            descriptor = os.open(entry, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # deleted since it was stored
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if entry == root:
            return
