"""Housekeeping of artifact storage that is a folder: what object stores do not have.

Blocking. Folders that have become empty go with their last file. What a killed writer left
("1.mp3#1" beside the key it was to become) is a file like any other here, so that it can be found
and deleted; object_store itself hides such files.
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
    """Key, bytes and time of change of every file under the folder ``prefix`` ("": all)."""
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
    """Delete what exists of ``keys``."""
    for key in keys:
        (root / key).unlink(missing_ok=True)
        prune(root, key)


def remove_folder(root: Path, prefix: str) -> int:
    """Delete the folder ``prefix`` with all that it holds; how many files that were.

    A file that is written into it meanwhile may stay, with its folder.
    """
    gone = 0
    for folder, _, names in os.walk(root / prefix, topdown=False, onerror=_unless_gone):
        for name in names:
            try:
                Path(folder, name).unlink()
            except FileNotFoundError:
                continue  # deleted by another, or renamed to its key
            gone += 1
        _remove_if_empty(Path(folder))
    prune(root, prefix)
    return gone


def prune(root: Path, key: str) -> None:
    """Remove the folders above ``key`` that are empty, up to but without ``root``."""
    for folder in (root / key).parents:
        if folder == root or not _remove_if_empty(folder):
            return


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # it holds something
    return True


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def make_durable(root: Path, key: str) -> None:
    """Have the file under ``key``, and the folders that name it, on disk before this returns."""
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
