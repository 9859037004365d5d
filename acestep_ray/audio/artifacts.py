"""Artifact storage: finished takes and ingested sources, in a folder or an object store."""

import asyncio
import errno
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, LocalStore, ObjectStore

from acestep_ray.audio import local_folder
from acestep_ray.audio.object_store import Bucket, open_bucket
from acestep_ray.audio.storage_error import (
    ArtifactMissing,
    StorageError,
    StorageFull,
    error_number,
    storage_error,
)

__all__ = ["KEY", "ArtifactMissing", "Artifacts", "StorageError", "StorageFull", "StoredFile"]

CHUNK = 1 << 20
"""Bytes a chunk of a stream. Each is a request of its own, so a slow reader holds none open."""

PUTS = 10
"""Turns a file is put into a folder, where others remove folders that have become empty."""

PATIENCE = 10.0
"""Seconds that an object store which is away is waited for, unless told otherwise."""

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

    Making one opens nothing, and it can be pickled; a local folder is made at its first use.
    Credentials come from the environment as the cloud's own tools read it. ``patience`` is how many
    seconds an object store that is away is waited for. Every method raises StorageError, and
    ValueError for a key that is none of ours.
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

        A reader sees the old state or the new, never half a file, also when this is cancelled or
        its process dies. In a folder the file is on disk when this returns. ``headers`` go with it
        where a client fetches it from an object store itself. Raises StorageFull.
        """
        _check(key)
        attributes = None if self._root is not None else dict(headers or {})
        for turn in range(PUTS):
            try:
                await obstore.put_async(self._store, key, path, attributes=attributes)
                if self._root is not None:
                    await asyncio.to_thread(local_folder.make_durable, self._root, key)
                return
            except (BaseError, OSError) as error:
                if self._root is not None:
                    if error_number(error) == errno.ENOENT and turn < PUTS - 1:
                        continue  # its new folder was removed as empty before it held anything
                    await asyncio.to_thread(local_folder.prune, self._root, key)
                raise storage_error(error, "be stored") from error

    async def size(self, key: str) -> int:
        """Bytes of the file under ``key``. Raises ArtifactMissing."""
        _check(key)
        try:
            return (await obstore.head_async(self._store, key))["size"]
        except FileNotFoundError as error:
            raise ArtifactMissing("The audio is no longer stored.") from error
        except (BaseError, OSError) as error:
            raise storage_error(error, "be read") from error

    async def stream(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
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

        On failure half a file may be left: ``path`` is best in a temporary folder.
        """
        size = await self.size(key)
        try:
            with await asyncio.to_thread(path.open, "wb") as file:
                async for chunk in self.stream(key, 0, size):
                    await asyncio.to_thread(file.write, chunk)
        except OSError as error:
            raise storage_error(error, "be copied from storage") from error

    async def sign(self, key: str, method: Method, seconds: float) -> str:
        """A URL by which anybody may send this one request for the file, for so many seconds.

        Raises ValueError for a folder: it has no server.
        """
        _check(key)
        store = self._store
        if not isinstance(store, Bucket):
            raise ValueError("A file in a folder has no URL to sign.")
        if isinstance(store, AzureStore):
            method = "GET"  # it signs the right to read, which covers both; for HEAD it signs none
        try:
            return await obstore.sign_async(store, method, key, timedelta(seconds=seconds))
        except (BaseError, OSError) as error:
            raise storage_error(error, "be given a signed URL") from error

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete files; those that do not exist are no error."""
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
        """Delete every file under the folder ``prefix``; how many that were.

        "takes/abc" does not touch "takes/abcd".
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
        """Every file under the folder ``prefix`` ("": all), in no order.

        In a folder that includes, under the name it has, what a writer has not finished.
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
        """In bulk where the store can; one by one where a missing one stopped that."""
        if not keys:
            return
        try:
            await obstore.delete_async(self._store, keys)
        except FileNotFoundError:
            for key in keys:
                try:
                    await obstore.delete_async(self._store, key)
                except FileNotFoundError:
                    continue  # as asked


def _check(key: str) -> None:
    """Keys are plain segments between slashes: no "..", no hidden or empty segment, no blank."""
    if not KEY.fullmatch(key):
        raise ValueError(f"Not a key of artifact storage: {key!r}")
