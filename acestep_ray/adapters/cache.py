"""Copies of files from a bucket, in a folder of this node that several replicas share."""

import asyncio
import contextlib
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from acestep_ray.adapters.files import StoredFile
from acestep_ray.artifacts.errors import StorageError, storage_error

logger = logging.getLogger(__name__)

KEPT_SECONDS = 600.0
"""A file that was used in this time is not removed: a job may be about to read it."""
UNFINISHED = ".part"


class FileCache:
    """Files by path and version. When there are more than ``most_bytes``, those that were not used
    for the longest time are removed. Belongs to one event loop; other processes may share the
    folder."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._copying: dict[str, asyncio.Lock] = {}

    async def get(self, file: StoredFile, copy: Callable[[Path], Awaitable[None]]) -> Path:
        """The file's copy; ``copy`` makes it if there is none. Raises StorageError, StorageFull."""
        digest = hashlib.sha256(f"{file.path}\n{file.version}".encode()).hexdigest()[:32]
        path = self._folder / f"{digest}.safetensors"
        async with self._copying.setdefault(digest, asyncio.Lock()):
            try:
                if await asyncio.to_thread(_used, path, file.bytes):
                    return path
                await asyncio.to_thread(self._make_room, file.bytes)
                await self._copy(file, path, copy)
            except OSError as error:
                name = f"The adapter's file {file.path}"
                raise storage_error(error, "be copied to this node", name) from error
        return path

    async def _copy(
        self, file: StoredFile, path: Path, copy: Callable[[Path], Awaitable[None]]
    ) -> None:
        unfinished = await asyncio.to_thread(_new_file, self._folder)
        try:
            await copy(unfinished)
            if not await asyncio.to_thread(_finished, unfinished, path, file.bytes):
                raise StorageError(f"The adapter's file {file.path} was changed while it was read.")
        finally:
            await asyncio.to_thread(unfinished.unlink, missing_ok=True)

    def _make_room(self, needed: int) -> None:
        """Remove what was not used for long, and what a killed process left unfinished."""
        self._folder.mkdir(parents=True, exist_ok=True)
        files = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process removed it
                found = path.stat()
                files.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in files) + needed
        old = time.time() - KEPT_SECONDS
        for modified, size, path in sorted(files):
            if modified > old:
                break
            if total <= self._most_bytes and path.suffix != UNFINISHED:
                continue
            path.unlink(missing_ok=True)
            logger.info("Removed %s, which was not used for long", path)
            total -= size


def _new_file(folder: Path) -> Path:
    descriptor, name = tempfile.mkstemp(UNFINISHED, dir=folder)
    os.close(descriptor)
    return Path(name)


def _finished(unfinished: Path, path: Path, size: int) -> bool:
    """Give a whole copy its name. Returns whether it is whole."""
    if unfinished.stat().st_size != size:
        return False
    unfinished.rename(path)
    return True


def _used(path: Path, size: int) -> bool:
    """Whether the whole file is there; then it counts as used now."""
    try:
        if path.stat().st_size != size:
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
