"""Storage in a folder: durable, without leftovers, and with a clear error if the disk is full."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from acestep_ray.artifacts.store import ArtifactMissing, Artifacts, StorageError, StorageFull
from tests.unit.artifacts.conftest import BIG


@pytest.fixture
def artifacts(folder: Path) -> Artifacts:
    return Artifacts(folder.as_uri())


def _left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


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


async def test_a_cancelled_put_leaves_nothing(
    artifacts: Artifacts, folder: Path, big: Path
) -> None:
    writing = asyncio.create_task(artifacts.put_file("takes/j/1/1.wav", big))
    while not list(folder.rglob("1.wav*")):
        await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    # The library drops the upload in its own thread; by then at most the whole file was written.
    async with asyncio.timeout(10):
        while any("#" in name for name in _left(folder)):
            await asyncio.sleep(0.01)
    for path in folder.rglob("1.wav"):
        assert path.stat().st_size == BIG


FULL = """
import asyncio, os, resource, sys
from pathlib import Path
from acestep_ray.artifacts.store import Artifacts, StorageFull
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
    """A file size limit simulates the full disk; both ways of writing reach it."""
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
from acestep_ray.artifacts.store import Artifacts
asyncio.run(Artifacts(sys.argv[1]).put_file("sources/j/source.flac", Path(sys.argv[2])))
"""


def _kill_a_writer(folder: Path, path: Path) -> None:
    """Stop a process while it stores a large file."""
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


async def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path, small: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    artifacts = Artifacts((tmp_path / "file" / "store").as_uri())
    for work in (artifacts.put_file("k", small), artifacts.size("k"), artifacts.fetch("k", small)):
        with pytest.raises(StorageError) as caught:
            await work
        assert str(tmp_path) not in str(caught.value)
        assert not isinstance(caught.value, StorageFull)
