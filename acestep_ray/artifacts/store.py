"""Artifact storage: finished takes and ingested sources, in a folder or an object store."""

import asyncio
import errno
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, LocalStore, ObjectStore

from acestep_ray.artifacts import local_folder
from acestep_ray.artifacts.bucket import Bucket, open_bucket
from acestep_ray.artifacts.errors import (
    ArtifactMissing,
    StorageError,
    StorageFull,
    error_number,
    storage_error,
)

__all__ = ["KEY", "ArtifactMissing", "Artifacts", "StorageError", "StorageFull", "StoredFile"]

CHUNK = 1 << 20
"""Bytes per chunk of a stream. Each is a request of its own: a slow reader keeps none open."""

PUTS = 10
"""Most tries to put a file into a folder, from which others remove empty folders."""

PATIENCE = 10.0
"""Longest wait for an unavailable object store, seconds, unless another is given."""

Method = Literal["GET", "HEAD"]
SCHEMES = ("file", "s3", "gs", "az")
KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.#-]*(/[A-Za-z0-9_-][A-Za-z0-9_.#-]*)*")


@dataclass(frozen=True)
class StoredFile:
    """What storage holds under ``key``; ``modified`` is in UTC."""

    key: str
    bytes: int
    modified: datetime


class Artifacts:
    """Files under keys, at a URL: ``file:///folder``, ``s3://``, ``gs://`` or ``az://``.

    Creating one opens nothing, and it can be pickled; a local folder is created at its first use.
    Credentials come from the environment, as the cloud's own tools read it. ``patience``: longest
    wait for an unavailable object store, seconds. Every method raises StorageError, and ValueError
    for an illegal key.
    """

    def __init__(self, url: str, patience: float = PATIENCE) -> None:
        if urlsplit(url).scheme not in SCHEMES:
            raise ValueError(f"An artifact URL starts with file://, s3://, gs:// or az://: {url!r}")
        self._url = url
        self._patience = patience
        self._root = local_folder.root_of(url)

    def __reduce__(self) -> tuple[type["Artifacts"], tuple[str, float]]:
        return Artifacts, (self._url, self._patience)

    @cached_property
    def _store(self) -> ObjectStore:
        if self._root is not None:
            return LocalStore(self._root, mkdir=True)
        return open_bucket(self._url, self._patience)

    async def put_file(
        self, key: str, path: Path, headers: Mapping[str, str] | None = None
    ) -> None:
        """Store the file at ``path`` under ``key``, whole or not at all.

        A reader sees the old state or the new, never a part of a file, even if this is cancelled or
        its process dies. In a folder, the file is on disk when this returns. ``headers``: HTTP
        headers for clients that fetch it from the object store itself. Raises StorageFull.
        """
        _check(key)
        attributes = None if self._root is not None else dict(headers or {})
        for attempt in range(PUTS):
            try:
                await obstore.put_async(self._store, key, path, attributes=attributes)
                if self._root is not None:
                    await asyncio.to_thread(local_folder.make_durable, self._root, key)
                return
            except (BaseError, OSError) as error:
                if self._root is not None:
                    if error_number(error) == errno.ENOENT and attempt < PUTS - 1:
                        continue  # its new folder was removed, because it was still empty
                    await asyncio.to_thread(local_folder.prune, self._root, key)
                raise storage_error(error, "be stored") from error

    async def size(self, key: str) -> int:
        """Size of the file under ``key``, bytes. Raises ArtifactMissing."""
        _check(key)
        try:
            return (await obstore.head_async(self._store, key))["size"]
        except FileNotFoundError as error:
            raise ArtifactMissing("The audio is no longer stored.") from error
        except (BaseError, OSError) as error:
            raise storage_error(error, "be read") from error

    async def stream(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """Bytes ``start`` to ``end`` (exclusive) of a file, within it. Raises ArtifactMissing."""
        _check(key)
        for at in range(start, end, CHUNK):
            stop = min(at + CHUNK, end)
            try:
                chunk = await obstore.get_range_async(self._store, key, start=at, end=stop)
            except FileNotFoundError as error:
                raise ArtifactMissing("The audio is no longer stored.") from error
            except (BaseError, OSError) as error:
                raise storage_error(error, "be read") from error
            if len(chunk) != stop - at:
                raise StorageError("The audio could not be read: the stored file is too short.")
            yield bytes(chunk)

    async def fetch(self, key: str, path: Path) -> None:
        """Copy the file under ``key`` to ``path``. Raises ArtifactMissing, StorageFull.

        After a failure a part of the file may remain, so ``path`` should be in a temporary folder.
        """
        size = await self.size(key)
        try:
            with await asyncio.to_thread(path.open, "wb") as file:
                async for chunk in self.stream(key, 0, size):
                    await asyncio.to_thread(file.write, chunk)
        except OSError as error:
            raise storage_error(error, "be copied from storage") from error

    async def sign(self, key: str, method: Method, seconds: float) -> str:
        """A URL that allows ``method`` on the file to everybody, for ``seconds``.

        Raises ValueError for a folder, which has no server.
        """
        _check(key)
        store = self._store
        if not isinstance(store, Bucket):
            raise ValueError("A file in a folder has no URL to sign.")
        if isinstance(store, AzureStore):
            method = "GET"  # Azure's signature for reading covers HEAD; it has none for HEAD alone
        try:
            return await obstore.sign_async(store, method, key, timedelta(seconds=seconds))
        except (BaseError, OSError) as error:
            raise storage_error(error, "be given a signed URL") from error

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete files. It is no error if some do not exist."""
        for key in keys:
            _check(key)
        try:
            if self._root is not None:
                await asyncio.to_thread(local_folder.remove_files, self._root, list(keys))
            else:
                await self._delete_objects(keys)
        except (BaseError, OSError) as error:
            raise storage_error(error, "be deleted") from error

    async def delete_prefix(self, prefix: str) -> int:
        """Delete every file under the folder ``prefix``. Returns the number of files deleted.

        "takes/abc" does not include "takes/abcd".
        """
        _check(prefix)
        if self._root is None:
            keys = [stored.key async for stored in self.list(prefix)]
            await self.delete(keys)
            return len(keys)
        try:
            return await asyncio.to_thread(local_folder.remove_folder, self._root, prefix)
        except OSError as error:
            raise storage_error(error, "be deleted") from error

    async def list(self, prefix: str = "") -> AsyncIterator[StoredFile]:
        """Every file under the folder ``prefix`` ("": all), in no particular order.

        If the storage is a folder, that includes unfinished files, under their temporary names.
        """
        if prefix:
            _check(prefix)
        try:
            if self._root is not None:
                files = local_folder.files_under(self._root, prefix)
                for key, size, modified in await asyncio.to_thread(list, files):
                    yield StoredFile(key, size, modified)
                return
            async for page in obstore.list(self._store, prefix or None, chunk_size=1000):
                for item in page:
                    yield StoredFile(item["path"], item["size"], item["last_modified"])
        except (BaseError, OSError) as error:
            raise storage_error(error, "be listed") from error

    async def _delete_objects(self, keys: Sequence[str]) -> None:
        """Delete in bulk; one by one if a missing file stopped that."""
        if not keys:
            return
        try:
            await obstore.delete_async(self._store, keys)
        except FileNotFoundError:
            for key in keys:
                try:
                    await obstore.delete_async(self._store, key)
                except FileNotFoundError:
                    continue  # it is deleted already


def _check(key: str) -> None:
    """Raise ValueError for an illegal key. Keys are segments between slashes: no "..", no hidden or
    empty segment, no blank."""
    if not KEY.fullmatch(key):
        raise ValueError(f"Not a key of artifact storage: {key!r}")
