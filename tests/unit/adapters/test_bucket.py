"""Adapters in a bucket: copies on this node, a bucket that goes away, and a disk that is full."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path

import obstore
import pytest

from acestep_ray.adapters.cache import KEPT_SECONDS, FileCache
from acestep_ray.adapters.files import StoredFile, files_at
from acestep_ray.adapters.library import AdapterLibrary
from acestep_ray.artifacts.errors import StorageError, StorageFull
from tests.adapter_files import write_weights
from tests.s3 import BUCKET, S3Server


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "cache", 1000)


def copies(cache: FileCache) -> list[int]:
    """Sizes of the files in the cache."""
    return sorted(path.stat().st_size for path in cache._folder.iterdir())


def contents(size: int) -> Callable[[Path], "asyncio.Future[None]"]:
    """Writes a file of that size."""

    async def copy(path: Path) -> None:
        path.write_bytes(bytes(size))

    return lambda path: asyncio.ensure_future(copy(path))


async def test_a_bucket_is_listed_and_copied_once(
    s3: S3Server, cache: FileCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    file = write_weights(tmp_path / "jazz.safetensors")
    obstore.put(s3.store, "adapters/my style/jazz.safetensors", file)
    files = files_at(f"s3://{BUCKET}/adapters", 1)
    obstore.put(s3.store, "adapters/empty.safetensors", b"")
    monkeypatch.setattr("acestep_ray.adapters.library.FRESH_SECONDS", 0.0)
    library = AdapterLibrary(files, cache)
    found = await library.all()
    assert [name for name, one in found.items() if not one.problem] == ["my style/jazz"]
    assert found["empty"].problem.endswith("empty.safetensors is no safetensors file")
    first, second = await asyncio.gather(*(library.local("my style/jazz") for _ in range(2)))
    assert first.weights == second.weights
    assert first.weights.read_bytes() == file.read_bytes()

    s3.kill()
    try:
        again = await library.local("my style/jazz")
        assert again == first, "what is known and on this node needs no bucket"
        with pytest.raises(
            StorageError, match=r"^The adapters could not be listed: the storage ca"
        ):
            await AdapterLibrary(files, cache).all()
    finally:
        s3.start()


async def test_a_full_disk_leaves_nothing_and_says_so(cache: FileCache) -> None:
    async def full(path: Path) -> None:
        path.write_bytes(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageFull, match=r"a\.safetensors could not be copied to this node: the"):
        await cache.get(StoredFile("a.safetensors", 10, "1"), full)
    assert copies(cache) == []


async def test_a_file_that_changed_meanwhile_is_not_kept(cache: FileCache) -> None:
    with pytest.raises(StorageError, match="was changed while it was read"):
        await cache.get(StoredFile("a.safetensors", 10, "1"), contents(9))
    assert copies(cache) == []


async def test_what_was_not_used_for_longest_makes_room(cache: FileCache) -> None:
    paths = {
        name: await cache.get(StoredFile(name, size, "1"), contents(size))
        for name, size in (("old", 400), ("used", 401), ("new", 402))
    }
    assert copies(cache) == [400, 401, 402], "all were used just now, so all stay"
    long_ago = paths["old"].stat().st_mtime - 2 * KEPT_SECONDS
    (cache._folder / "of a killed process.part").write_bytes(bytes(5))
    for number, path in enumerate([cache._folder / "of a killed process.part", *paths.values()]):
        os.utime(path, (long_ago + number, long_ago + number))
    assert await cache.get(StoredFile("used", 401, "1"), contents(1)) == paths["used"]
    await cache.get(StoredFile("next", 150, "1"), contents(150))
    assert copies(cache) == [150, 401, 402]
