"""Rules for every storage, a folder and an object store: files are whole or absent, can be found
again, and no longer exist when they are deleted."""

import asyncio
import pickle
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acestep_ray.artifacts.store import CHUNK, ArtifactMissing, Artifacts, StorageError
from tests.unit.artifacts.conftest import BIG


async def _read(artifacts: Artifacts, key: str, start: int, end: int) -> list[bytes]:
    return [chunk async for chunk in artifacts.stream(key, start, end)]


async def _keys(artifacts: Artifacts, prefix: str = "") -> list[str]:
    return sorted([stored.key async for stored in artifacts.list(prefix)])


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
    assert await _keys(artifacts, "takes") == []


async def test_a_folder_is_not_a_file(artifacts: Artifacts, small: Path) -> None:
    await artifacts.put_file("takes/j/1/1.mp3", small)
    with pytest.raises(ArtifactMissing):
        await artifacts.size("takes/j")


async def test_a_prefix_is_a_folder(artifacts: Artifacts, small: Path) -> None:
    for key in (
        "takes/abc/1/1.mp3",
        "takes/abc/1/2.mp3",
        "takes/abc/2/1.mp3",
        "takes/abcd/1/1.mp3",
    ):
        await artifacts.put_file(key, small)
    assert await _keys(artifacts, "takes/abc/1") == ["takes/abc/1/1.mp3", "takes/abc/1/2.mp3"]
    assert await _keys(artifacts, "takes/ab") == []
    assert await artifacts.delete_prefix("takes/ab") == 0
    assert await artifacts.delete_prefix("takes/abc") == 3
    assert await _keys(artifacts) == ["takes/abcd/1/1.mp3"]


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
    key: str, artifacts: Artifacts, small: Path
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
    assert await _keys(artifacts) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "data/artifacts",
        "/data/artifacts",
        "file://data/x",
        "ftp://h/x",
        "https://h/x",
        "s3a://b",
    ],
)
def test_a_url_that_is_no_storage_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="URL"):
        Artifacts(url)


@pytest.mark.parametrize("url", ["s3://bucket/prefix", "gs://bucket", "az://container"])
def test_making_one_opens_nothing_and_it_can_be_pickled(url: str, tmp_path: Path) -> None:
    for made in (url, (tmp_path / "none").as_uri()):
        again = pickle.loads(pickle.dumps(Artifacts(made, patience=3)))
        assert again.__reduce__() == (Artifacts, (made, 3))
    assert not (tmp_path / "none").exists()


async def test_a_reader_never_sees_half_a_file(
    artifacts: Artifacts, big: Path, small: Path
) -> None:
    """Read the key during the whole write, which replaces an older file."""
    await artifacts.put_file("takes/j/1/1.wav", small)
    writing = asyncio.create_task(artifacts.put_file("takes/j/1/1.wav", big))
    sizes = set()
    while not writing.done():
        sizes.add(await artifacts.size("takes/j/1/1.wav"))
    await writing
    assert sizes <= {10, BIG}
    assert await artifacts.size("takes/j/1/1.wav") == BIG
    assert await _keys(artifacts) == ["takes/j/1/1.wav"]


async def test_writers_and_deleters_do_not_disturb_each_other(
    artifacts: Artifacts, small: Path
) -> None:
    """One job's empty folders are removed at the moment when another job's are made."""

    async def write(job: int) -> None:
        for turn in range(30):
            key = f"takes/{job % 2}/{turn}/{job}.mp3"
            await artifacts.put_file(key, small)
            assert await artifacts.size(key) == 10
            await artifacts.delete([key])

    await asyncio.gather(*(write(job) for job in range(8)))
    assert await _keys(artifacts) == []


async def test_more_files_than_a_page_of_a_list_holds(artifacts: Artifacts, small: Path) -> None:
    """Clouds list and delete a thousand at a time."""
    keys = [f"takes/j/1/{number:04}.mp3" for number in range(1_005)]
    limit = asyncio.Semaphore(20)

    async def put(key: str) -> None:
        async with limit:
            await artifacts.put_file(key, small)

    await asyncio.gather(*(put(key) for key in [*keys, "takes/k/1/1.mp3"]))
    assert await _keys(artifacts, "takes/j") == keys
    assert await artifacts.delete_prefix("takes/j") == 1_005
    assert await _keys(artifacts) == ["takes/k/1/1.mp3"]


STREAM = """
import asyncio, os, sys
from pathlib import Path
from acestep_ray.artifacts.store import Artifacts
def most():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
async def main():
    artifacts, total = Artifacts(sys.argv[1]), 0
    async for chunk in artifacts.stream("k", 0, 1 << 20):
        pass
    before = most()
    async for chunk in artifacts.stream("k", 0, 115_200_000):
        total += len(chunk)
    print(total, most() - before, flush=True)
    os._exit(0)  # the library's threads may still put things away, which aborts a process that ends
asyncio.run(main())
"""


async def test_a_long_take_is_never_in_memory_whole(artifacts: Artifacts, tmp_path: Path) -> None:
    """600 s of WAV have 115 MB; a service streams many at a time."""
    long = tmp_path / "long"
    with long.open("wb") as file:
        file.truncate(115_200_000)
    await artifacts.put_file("k", long)
    command = [sys.executable, "-c", STREAM, artifacts.__reduce__()[1][0]]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    total, grown = map(int, ended.stdout.split())
    assert total == 115_200_000
    assert grown < 30_000_000
