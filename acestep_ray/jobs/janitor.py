"""Removes audio that no job needs: deleted, expired, or left by attempts that were lost."""

import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

from acestep_ray.audio.artifacts import KEY, Artifacts, StorageError, StoredFile
from acestep_ray.audio.keys import SOURCES, TAKES, sources_prefix, takes_prefix
from acestep_ray.jobs.result import JobResult
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.store.protocol import (
    Collected,
    Garbage,
    Get,
    JobExpired,
    JobNotFound,
    JobRecord,
    Op,
)
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)


class Store(Protocol):
    """The job store actor, as the janitor asks it."""

    async def apply(self, op: Op, patience: float = 20.0) -> Any:
        """Apply one store operation; raises its StoreError."""
        ...


class Janitor:
    """Any number of them may work at once: all they do may be done twice."""

    def __init__(self, store: Store, artifacts: Artifacts, settings: Settings) -> None:
        self._store = store
        self._artifacts = artifacts
        self._jobs = settings.jobs
        self._searched_at = time.monotonic()

    async def tidy(self) -> None:
        """Empty the store's garbage, and now and then look for what nobody told of."""
        while ids := await self._store.apply(Garbage()):
            gone = [job_id for job_id in ids if await self._delete_audio(job_id)]
            await self._store.apply(Collected(tuple(gone)))
            if len(gone) < len(ids):
                break  # what could not be deleted now stands first again
        if time.monotonic() - self._searched_at >= self._jobs.search_every:
            self._searched_at = time.monotonic()
            await self.search()

    async def _delete_audio(self, job_id: str) -> bool:
        try:
            await self._artifacts.delete_prefix(takes_prefix(job_id))
            await self._artifacts.delete_prefix(sources_prefix(job_id))
        except StorageError as error:
            logger.warning("The audio of job %s cannot be deleted now: %s", job_id, error)
            return False
        return True

    async def search(self) -> int:
        """Delete the files, old enough, that belong to no job or to an attempt that has lost its
        job; answers how many."""
        deleted = 0
        records: dict[str, JobRecord | None] = {}
        async for stored in self._old_files():
            role, job_id, *rest = stored.key.split("/")
            if not KEY.fullmatch(stored.key) or not rest:
                continue  # not of our making
            if job_id not in records:
                records[job_id] = await self._record(job_id)
            record = records[job_id]
            if record is None or (role == TAKES and not _wanted(record, stored.key, rest)):
                try:
                    await self._artifacts.delete([stored.key])
                except StorageError as error:
                    logger.warning("%s cannot be deleted now: %s", stored.key, error)
                    continue
                deleted += 1
        if deleted:
            logger.info("Deleted %d orphaned audio files.", deleted)
        return deleted

    async def _old_files(self) -> AsyncIterator[StoredFile]:
        before = time.time() - self._jobs.orphan_age
        for folder in (TAKES, SOURCES):
            async for stored in self._artifacts.list(folder):
                if stored.modified.timestamp() < before:
                    yield stored

    async def _record(self, job_id: str) -> JobRecord | None:
        try:
            snapshot: Snapshot = await self._store.apply(Get(job_id))
        except (JobNotFound, JobExpired):
            return None
        return snapshot.record


def _wanted(record: JobRecord, key: str, rest: list[str]) -> bool:
    """Whether a take is one of its job's, or may still become one."""
    if record.result is not None:
        return key in {take.key for take in JobResult.model_validate_json(record.result).takes}
    return not record.status.ended and rest[0] == str(record.attempt)
