"""Storage in an object store's process: rights, signed URLs, and a server that goes away."""

import asyncio
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from acestep_ray.artifacts.store import ArtifactMissing, Artifacts, StorageError
from tests.s3 import READER_KEY, READER_SECRET, S3Server
from tests.unit.artifacts.conftest import BIG

HEADERS = {
    "Content-Type": "audio/wav",
    "Content-Disposition": "inline; filename=\"Cafe 1.wav\"; filename*=UTF-8''Caf%C3%A9%201.wav",
}


@pytest.fixture
def artifacts(s3_url: str) -> Artifacts:
    return Artifacts(s3_url)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """A file that takes a second to store."""
    with (tmp_path / "long").open("wb") as file:
        file.truncate(300_000_000)
    return tmp_path / "long"


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.05)


async def _digest(artifacts: Artifacts, key: str) -> str:
    digest = sha256()
    async for chunk in artifacts.stream(key, 0, await artifacts.size(key)):
        digest.update(chunk)
    return digest.hexdigest()


async def test_a_signed_url_gives_what_was_stored_as_it_was_named(
    artifacts: Artifacts, http: httpx.AsyncClient, big: Path
) -> None:
    await artifacts.put_file("takes/j/1/1.wav", big, HEADERS)
    url = await artifacts.sign("takes/j/1/1.wav", "GET", 60)
    whole = await http.get(url)
    assert (whole.status_code, whole.content) == (200, big.read_bytes())
    assert {name: whole.headers[name] for name in HEADERS} == HEADERS
    part = await http.get(url, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, big.read_bytes()[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{BIG}"
    head = await http.head(await artifacts.sign("takes/j/1/1.wav", "HEAD", 60))
    assert (head.status_code, head.headers["content-length"]) == (200, str(BIG))


async def test_a_signed_url_is_for_its_file_and_its_time(
    artifacts: Artifacts, http: httpx.AsyncClient, small: Path
) -> None:
    for key in ("takes/j/1/1.wav", "takes/k/1/1.wav"):
        await artifacts.put_file(key, small)
    url = await artifacts.sign("takes/j/1/1.wav", "GET", 2)
    assert (await http.get(url)).status_code == 200
    assert (await http.get(url.replace("/j/", "/k/"))).status_code == 403
    assert (await http.put(url, content=b"x")).status_code == 403

    async def expired() -> bool:
        return (await http.get(url)).status_code == 403

    await _until(expired)
    assert (await http.get(await artifacts.sign("takes/j/1/1.wav", "GET", 60))).status_code == 200


async def test_credentials_are_in_no_repr_and_no_pickle(
    s3: S3Server, artifacts: Artifacts, small: Path
) -> None:
    await artifacts.put_file("k", small)
    secret = s3.environment["AWS_SECRET_ACCESS_KEY"]
    assert secret.encode() not in pickle.dumps(artifacts)
    assert secret not in repr(artifacts._store)
    assert secret not in await artifacts.sign("k", "GET", 60)


async def test_what_may_only_be_read_cannot_be_written(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, small: Path
) -> None:
    await Artifacts(s3_url).put_file("takes/j", small)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER_SECRET)
    reader = Artifacts(s3_url)
    assert await reader.size("takes/j") == 10
    for work in (
        reader.put_file("takes/j", small),
        reader.delete(["takes/j"]),
        reader.delete_prefix("takes"),
    ):
        with pytest.raises(StorageError, match=r"could not be \w+: the storage failed"):
            await work
    assert await reader.size("takes/j") == 10


async def test_a_cancelled_put_leaves_no_file(
    s3: S3Server, artifacts: Artifacts, long: Path
) -> None:
    before = s3.uploads()
    writing = asyncio.create_task(artifacts.put_file("takes/j/1/1.wav", long))
    while s3.uploads() == before:
        assert not writing.done()
        await asyncio.sleep(0.01)
    writing.cancel()
    await asyncio.wait([writing])
    assert writing.cancelled()
    with pytest.raises(ArtifactMissing):
        await artifacts.size("takes/j/1/1.wav")
    assert [stored async for stored in artifacts.list()] == []


KILLED = """
import asyncio, sys
from pathlib import Path
from acestep_ray.artifacts.store import Artifacts
asyncio.run(Artifacts(sys.argv[1]).put_file("sources/j/source.flac", Path(sys.argv[2])))
"""


def _kill_a_writer(s3: S3Server, url: str, path: Path) -> None:
    before = s3.uploads()
    writer = subprocess.Popen([sys.executable, "-c", KILLED, url, path])
    while s3.uploads() == before:
        assert writer.poll() is None
    writer.kill()
    writer.wait()


async def test_a_killed_writer_leaves_no_file(
    s3: S3Server, s3_url: str, artifacts: Artifacts, long: Path
) -> None:
    _kill_a_writer(s3, s3_url, long)
    with pytest.raises(ArtifactMissing):
        await artifacts.size("sources/j/source.flac")
    assert [stored async for stored in artifacts.list()] == []


async def test_a_server_that_is_away_is_one_sentence(
    s3: S3Server, s3_url: str, small: Path, tmp_path: Path
) -> None:
    artifacts = Artifacts(s3_url, patience=0.5)
    await artifacts.put_file("k", small)
    s3.kill()
    try:
        for work in (
            artifacts.put_file("k", small),
            artifacts.size("k"),
            artifacts.fetch("k", tmp_path / "back"),
            artifacts.delete(["k"]),
            artifacts.delete_prefix("k"),
        ):
            with pytest.raises(StorageError) as caught:
                await work
            assert not isinstance(caught.value, ArtifactMissing)
            reported = str(caught.value)
            assert reported.endswith(": the storage cannot be reached.") and s3.url not in reported
    finally:
        s3.start()
    assert await artifacts.size("k") == 10


async def test_a_server_that_comes_back_is_waited_for(
    s3: S3Server, s3_url: str, small: Path, long: Path
) -> None:
    """Killed during an upload, it comes back and gets the rest; reads wait in the same way."""
    artifacts = Artifacts(s3_url, patience=120)
    await artifacts.put_file("k", small)
    before = s3.uploads()
    writing = asyncio.create_task(artifacts.put_file("takes/j/1/1.wav", long))
    while s3.uploads() == before:
        assert not writing.done()
        await asyncio.sleep(0.01)
    s3.kill()
    reading = asyncio.create_task(artifacts.size("k"))
    await asyncio.to_thread(s3.start)
    await writing
    assert await reading == 10
    assert await _digest(artifacts, "takes/j/1/1.wav") == sha256(long.read_bytes()).hexdigest()
