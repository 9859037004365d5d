"""The collector over a real store and a real folder: what it removes, and what it must not."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from acestep_ray.artifacts.keys import source_key, take_key
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.decoder.events import Take
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.result import JobResult
from acestep_ray.jobs.runner.artifact_collector import ArtifactCollector
from acestep_ray.jobs.store.operations import Delete, Finish, KeepAlive, Lease, Start, Submit
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.settings import Settings
from tests.unit.jobs.local_client import LocalClient


class Place(LocalClient):
    """A job store, a folder and a collector."""

    def __init__(
        self, coordinator: JobCoordinator, artifacts: Artifacts, settings: Settings
    ) -> None:
        super().__init__(coordinator)
        self.artifacts = artifacts
        self.collector = ArtifactCollector(self, artifacts, settings)

    async def running(self) -> str:
        """A job that runs in its first attempt."""
        job_id = str(uuid.uuid4())
        await self.apply(Submit(job_id, "{}", needs_plan=False))
        await self.apply(KeepAlive("r", 60))
        await self.apply(Lease("r", uuid.uuid4().hex, 100, 100))
        await self.apply(Start(job_id, 1))
        return job_id

    async def finished(self) -> str:
        """A job that succeeded with one take, whose file is stored."""
        job_id = await self.running()
        take = Take(
            index=0, key=take_key(job_id, 1, 0, "mp3"), seed=1, format="mp3", bytes=1,
            sha256="0", samples=1,
        )  # fmt: skip
        result = JobResult(takes=(take,), plan=None, generation_info="", duration=1)
        await self.put(take.key)
        await self.apply(Finish(job_id, 1, result=result.model_dump_json()))
        return job_id

    async def put(self, key: str) -> None:
        await self.artifacts.put_file(key, Path(__file__))

    async def keys(self) -> list[str]:
        return sorted([file.key async for file in self.artifacts.list()])


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    settings = Settings.model_validate({"jobs": {"orphan_age": 0, "search_every": 1e9}})
    coordinator = JobCoordinator(lambda: SqliteStore(tmp_path / "jobs.sqlite"), settings)
    await coordinator.open()
    yield Place(coordinator, Artifacts((tmp_path / "artifacts").as_uri()), settings)
    await coordinator.close()


async def test_a_deleted_job_loses_its_takes_and_sources(place: Place) -> None:
    kept, gone = await place.finished(), await place.finished()
    await place.put(source_key(gone, "source"))
    await place.apply(Delete(gone))
    await place.collector.collect_garbage()
    assert await place.keys() == [take_key(kept, 1, 0, "mp3")]


async def test_what_belongs_to_nobody_is_found(place: Place) -> None:
    done, running = await place.finished(), await place.running()
    nobody = str(uuid.uuid4())
    await place.put(source_key(nobody, "source"))  # an upload whose submit never came
    await place.put(take_key(done, 2, 0, "mp3"))  # of an attempt that lost its job
    await place.put(take_key(nobody, 1, 0, "mp3"))
    await place.put(take_key(running, 1, 0, "mp3"))  # about to be finished
    await place.put(source_key(running, "source"))
    assert await place.collector.collect_orphans() == 3
    assert await place.keys() == sorted(
        [
            take_key(done, 1, 0, "mp3"),
            take_key(running, 1, 0, "mp3"),
            source_key(running, "source"),
        ]
    )


async def test_young_files_are_left_alone(place: Place, tmp_path: Path) -> None:
    settings = Settings.model_validate({"jobs": {"orphan_age": 3600}})
    collector = ArtifactCollector(place, place.artifacts, settings)
    await place.put(source_key(str(uuid.uuid4()), "source"))
    assert await collector.collect_orphans() == 0
    assert len(await place.keys()) == 1
