"""Where adapters' files are: a folder, or a bucket of S3, Google or Azure."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from acestep_ray.artifacts.bucket import open_bucket
from acestep_ray.artifacts.errors import StorageError, storage_error

SUFFIXES = (".safetensors", "adapter_config.json")
"""Ends of the names of files that are looked at."""
CHUNK = 8 << 20
"""Bytes per request while a file is copied from a bucket."""


@dataclass(frozen=True)
class StoredFile:
    """A file of an adapter. ``path``: below the folder or bucket, with slashes. ``version`` differs
    if the content does."""

    path: str
    bytes: int
    version: str


class AdapterFiles(Protocol):
    """A place with files. Every method raises StorageError, with a sentence that a client may
    read."""

    async def list(self) -> list[StoredFile]:
        """All files that may belong to adapters, in no particular order."""
        ...

    async def read(self, file: StoredFile, start: int, end: int) -> bytes:
        """Bytes ``start`` to ``end`` (exclusive), or up to the end of the file."""
        ...

    async def copy(self, file: StoredFile, path: Path) -> None:
        """Copy a file to ``path``. After a failure a part of it may be there."""
        ...

    def local(self, file: StoredFile) -> Path | None:
        """Where the file is on this node; None: it has to be copied."""
        ...


def files_at(place: str, patience: float) -> AdapterFiles:
    """The files at a URL of a bucket, or in a folder. ``patience``: longest wait for an unavailable
    bucket, seconds. Opens nothing yet."""
    return _Bucket(place, patience) if "://" in place else _Folder(Path(place))


@dataclass(frozen=True)
class _Folder:
    root: Path

    async def list(self) -> list[StoredFile]:
        try:
            return await asyncio.to_thread(lambda: list(self._walk()))
        except OSError as error:
            raise StorageError("The folder of adapters cannot be read.") from error

    def _walk(self) -> Iterator[StoredFile]:
        def failed(error: OSError) -> None:
            if error.filename == str(self.root):
                raise error  # others: a folder that was just removed, or is not for this user

        seen: set[tuple[int, int]] = set()
        for folder, below, names in os.walk(self.root, onerror=failed, followlinks=True):
            place = Path(folder).stat()
            if (place.st_dev, place.st_ino) in seen:
                below.clear()  # a link that leads back
                continue
            seen.add((place.st_dev, place.st_ino))
            below.sort()  # which of two links to a folder counts is the same each time
            for name in names:
                if not name.endswith(SUFFIXES):
                    continue
                path = Path(folder, name)
                try:
                    found = path.stat()
                except OSError:
                    continue  # removed meanwhile, or a link to nothing or to itself
                version = f"{found.st_size}-{found.st_mtime_ns}"
                yield StoredFile(path.relative_to(self.root).as_posix(), found.st_size, version)

    async def read(self, file: StoredFile, start: int, end: int) -> bytes:
        def part() -> bytes:
            with (self.root / file.path).open("rb") as opened:
                opened.seek(start)
                return opened.read(end - start)

        try:
            return await asyncio.to_thread(part)
        except OSError as error:
            raise StorageError(f"The adapter's file {file.path} cannot be read.") from error

    async def copy(self, file: StoredFile, path: Path) -> None:
        try:
            await asyncio.to_thread(shutil.copyfile, self.root / file.path, path)
        except OSError as error:
            raise StorageError(f"The adapter's file {file.path} cannot be copied.") from error

    def local(self, file: StoredFile) -> Path | None:
        return self.root / file.path


class _Bucket:
    def __init__(self, url: str, patience: float) -> None:
        self._url = url
        self._patience = patience

    @cached_property
    def _store(self) -> ObjectStore:
        return open_bucket(self._url, self._patience)

    async def list(self) -> list[StoredFile]:
        found = []
        try:
            async for page in obstore.list(self._store, chunk_size=1000):
                found += [
                    StoredFile(item["path"], item["size"], _version(item))
                    for item in page
                    if item["path"].endswith(SUFFIXES)
                ]
        except (BaseError, OSError) as error:
            raise storage_error(error, "be listed", "The adapters") from error
        return found

    async def read(self, file: StoredFile, start: int, end: int) -> bytes:
        end = min(end, file.bytes)
        if start >= end:
            return b""  # of nothing, the stores make an error
        try:
            return bytes(
                await obstore.get_range_async(self._store, file.path, start=start, end=end)
            )
        except (BaseError, OSError) as error:
            raise storage_error(error, "be read", f"The adapter's file {file.path}") from error

    async def copy(self, file: StoredFile, path: Path) -> None:
        with await asyncio.to_thread(path.open, "wb") as opened:
            for start in range(0, file.bytes, CHUNK):
                chunk = await self.read(file, start, start + CHUNK)
                await asyncio.to_thread(opened.write, chunk)

    def local(self, file: StoredFile) -> Path | None:
        return None


def _version(item: object) -> str:
    assert isinstance(item, dict)
    return f"{item['size']}-{item['e_tag'] or item['last_modified'].timestamp()}"
