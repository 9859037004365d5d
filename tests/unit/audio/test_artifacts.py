"""Takes and sources in a folder: whole or absent, found again, and gone when deleted."""

import asyncio
import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acestep_ray.audio.artifacts import CHUNK, ArtifactMissing, Artifacts, StorageError, StorageFull

BIG = 12_000_000
"""Bytes: more than one part of a multipart upload."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "the store, 100% é"  # what a URL must quote


@pytest.fixture
def artifacts(folder: Path) -> Artifacts:
    return Artifacts(folder.as_uri())


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "small").write_bytes(b"0123456789")
    return tmp_path / "small"


@pytest.fixture
def big(tmp_path: Path) -> Path:
    (tmp_path / "big").write_bytes(os.urandom(BIG))
    return tmp_path / "big"


async def _read(artifacts: Artifacts, key: str, start: int, end: int) -> list[bytes]:
    return [chunk async for chunk in artifacts.stream(key, start, end)]


def _left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


async def test_a_file_comes_back_as_it_was_put(artifacts: Artifacts, big: Path) -> None:
    await artifacts.put_file("takes/j/1/1.wav", big)
    assert await artifacts.size("takes/j/1/1.wav") == BIG
    chunks = await _read(artifacts, "takes/j/1/1.wav", 0, BIG)
    assert b"".join(chunks) == big.read_bytes()
    assert max(map(len, chunks)) == CHUNK
    back = big.with_name("back")
    await artifacts.fetch("takes/j/1/1.wav", back)
    assert back.read_bytes() == big.read_bytes()


@pytest.mark.parametrize(
    ("start", "end"), [(0, 10), (0, 0), (3, 3), (3, 7), (9, 10), (10, 10), (0, 1)]
)
async def test_ranges(artifacts: Artifacts, small: Path, start: int, end: int) -> None:
    await artifacts.put_file("k", small)
    assert b"".join(await _read(artifacts, "k", start, end)) == b"0123456789"[start:end]


async def test_a_range_beyond_the_file_is_an_error_not_a_short_answer(
    artifacts: Artifacts, small: Path
) -> None:
    await artifacts.put_file("k", small)
    for start, end in ((0, 11), (10, 11), (50, 60)):
        with pytest.raises(StorageError):
            await _read(artifacts, "k", start, end)


async def test_a_later_put_replaces(artifacts: Artifacts, small: Path, big: Path) -> None:
    await artifacts.put_file("k", big)
    await artifacts.put_file("k", small)
    assert await artifacts.size("k") == 10


async def test_missing(artifacts: Artifacts, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match="no longer stored"):
        await artifacts.size("takes/j/1/1.mp3")
    with pytest.raises(ArtifactMissing):
        await _read(artifacts, "takes/j/1/1.mp3", 0, 5)
    with pytest.raises(ArtifactMissing):
        await artifacts.fetch("takes/j/1/1.mp3", tmp_path / "back")
    await artifacts.delete(["takes/j/1/1.mp3"])
    assert await artifacts.delete_prefix("takes/j") == 0
    assert [stored async for stored in artifacts.list("takes")] == []


async def test_a_folder_is_not_a_file(artifacts: Artifacts, small: Path) -> None:
    await artifacts.put_file("takes/j/1/1.mp3", small)
    with pytest.raises(ArtifactMissing):
        await artifacts.size("takes/j")


async def test_a_prefix_is_a_folder(artifacts: Artifacts, folder: Path, small: Path) -> None:
    for key in (
        "takes/abc/1/1.mp3",
        "takes/abc/1/2.mp3",
        "takes/abc/2/1.mp3",
        "takes/abcd/1/1.mp3",
    ):
        await artifacts.put_file(key, small)
    assert {s.key async for s in artifacts.list("takes/abc/1")} == {
        "takes/abc/1/1.mp3",
        "takes/abc/1/2.mp3",
    }
    assert [s.key async for s in artifacts.list("takes/ab")] == []
    assert await artifacts.delete_prefix("takes/ab") == 0
    assert await artifacts.delete_prefix("takes/abc") == 3
    assert _left(folder) == ["takes", "takes/abcd", "takes/abcd/1", "takes/abcd/1/1.mp3"]


async def test_deleting_leaves_no_empty_folders(
    artifacts: Artifacts, folder: Path, small: Path
) -> None:
    keys = ["takes/j/1/1.mp3", "takes/j/1/2.mp3", "takes/k/1/1.mp3"]
    for key in keys:
        await artifacts.put_file(key, small)
    await artifacts.delete([keys[0], "takes/j/1/9.mp3"])
    assert _left(folder / "takes" / "j") == ["1", "1/2.mp3"]
    await artifacts.delete(keys[1:])
    assert _left(folder) == []
    assert folder.is_dir()


async def test_listing_tells_size_and_time(artifacts: Artifacts, small: Path) -> None:
    await artifacts.put_file("sources/j/source.flac", small)
    (stored,) = [stored async for stored in artifacts.list()]
    assert (stored.key, stored.bytes) == ("sources/j/source.flac", 10)
    assert abs(datetime.now(UTC) - stored.modified) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", "..", "a/../b", ".", ".a", "a b", "a\0", "a\nb", "a\\b", "é", "a%2fb"],
)
async def test_keys_are_checked_before_anything_is_touched(
    key: str, artifacts: Artifacts, small: Path, folder: Path
) -> None:
    with pytest.raises(ValueError, match="Not a key"):
        await artifacts.put_file(key, small)
    with pytest.raises(ValueError, match="Not a key"):
        await artifacts.size(key)
    with pytest.raises(ValueError, match="Not a key"):
        await _read(artifacts, key, 0, 1)
    with pytest.raises(ValueError, match="Not a key"):
        await artifacts.delete(["a", key])
    with pytest.raises(ValueError, match="Not a key"):
        await artifacts.delete_prefix(key)
    assert not folder.exists()


@pytest.mark.parametrize(
    "url", ["", "data/artifacts", "/data/artifacts", "file://data/x", "ftp://h/x", "https://h/x"]
)
def test_a_url_that_is_no_storage_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Artifacts(url)


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket", "az://account/container"])
def test_making_one_opens_nothing_and_it_can_be_pickled(url: str, tmp_path: Path) -> None:
    for made in (url, (tmp_path / "none").as_uri()):
        again = pickle.loads(pickle.dumps(Artifacts(made)))
        assert isinstance(again, Artifacts)
    assert not (tmp_path / "none").exists()


async def test_a_reader_never_sees_half_a_file(
    artifacts: Artifacts, folder: Path, big: Path, small: Path
) -> None:
    """Look at the key all the while it is written, over an older file."""
    await artifacts.put_file("takes/j/1/1.wav", small)
    writing = asyncio.create_task(artifacts.put_file("takes/j/1/1.wav", big))
    sizes = set()
    while not writing.done():
        sizes.add((folder / "takes/j/1/1.wav").stat().st_size)
        await asyncio.sleep(0)
    await writing
    assert sizes <= {10, BIG}
    assert _left(folder) == ["takes", "takes/j", "takes/j/1", "takes/j/1/1.wav"]


async def test_a_cancelled_put_leaves_nothing(
    artifacts: Artifacts, folder: Path, big: Path
) -> None:
    writing = asyncio.create_task(artifacts.put_file("takes/j/1/1.wav", big))
    while not list(folder.rglob("1.wav*")):
        await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    # The library drops the upload on its own thread; at most the whole file may have got there.
    async with asyncio.timeout(10):
        while any("#" in name for name in _left(folder)):
            await asyncio.sleep(0.01)
    for path in folder.rglob("1.wav"):
        assert path.stat().st_size == BIG


FULL = """
import asyncio, os, resource, sys
from pathlib import Path
from acestep_ray.audio.artifacts import Artifacts, StorageFull
folder, source = Path(sys.argv[1]), Path(sys.argv[2])
artifacts = Artifacts(folder.as_uri())
async def main():
    for size in (1_000_001, 12_000_000):
        source.write_bytes(os.urandom(size))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            await artifacts.put_file("takes/j/1/1.wav", source)
        except StorageFull as error:
            print(error, [str(p) for p in folder.rglob("*")])
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
asyncio.run(main())
sys.stdout.flush()
os._exit(0)
"""


def test_a_full_disk_is_told_without_paths_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    """A file size limit stands for the full disk; both ways of writing meet it."""
    ended = subprocess.run(
        [sys.executable, "-c", FULL, folder, tmp_path / "source"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (
        ended.stdout.splitlines() == ["The audio could not be stored: the storage is full. []"] * 2
    )


KILLED = """
import asyncio, sys
from pathlib import Path
from acestep_ray.audio.artifacts import Artifacts
asyncio.run(Artifacts(sys.argv[1]).put_file("sources/j/source.flac", Path(sys.argv[2])))
"""


def _kill_a_writer(folder: Path, path: Path) -> None:
    """Stop a process in the middle of storing a file that takes long."""
    with path.open("wb") as source:
        source.truncate(1_000_000_000)
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, folder.as_uri(), path],
    )
    while not list(folder.rglob("source.flac*")):
        assert writer.poll() is None
    writer.kill()
    writer.wait()


async def test_what_a_killed_writer_left_is_found_and_removed(
    artifacts: Artifacts, folder: Path, tmp_path: Path
) -> None:
    _kill_a_writer(folder, tmp_path / "long")
    with pytest.raises(ArtifactMissing):
        await artifacts.size("sources/j/source.flac")
    (stored,) = [stored async for stored in artifacts.list("sources")]
    assert stored.key == "sources/j/source.flac#1"
    assert await artifacts.delete_prefix("sources/j") == 1
    assert _left(folder) == []


async def test_writers_and_deleters_do_not_disturb_each_other(
    artifacts: Artifacts, folder: Path, small: Path
) -> None:
    """One job's folders are removed as empty in the moment another's are made."""

    async def write(job: int) -> None:
        for turn in range(30):
            key = f"takes/{job % 2}/{turn}/{job}.mp3"
            await artifacts.put_file(key, small)
            assert await artifacts.size(key) == 10
            await artifacts.delete([key])

    await asyncio.gather(*(write(job) for job in range(8)))
    assert _left(folder) == []


async def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path, small: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    artifacts = Artifacts((tmp_path / "file" / "store").as_uri())
    for work in (artifacts.put_file("k", small), artifacts.size("k"), _read(artifacts, "k", 0, 1)):
        with pytest.raises(StorageError) as caught:
            await work
        assert str(tmp_path) not in str(caught.value)
        assert not isinstance(caught.value, StorageFull)
