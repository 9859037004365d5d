"""Removes audio that no job needs: of deleted and expired jobs, and of lost attempts."""

import logging
import time
from collections.abc import AsyncIterator

from acestep_ray.artifacts.keys import SOURCES, TAKES, sources_prefix, takes_prefix
from acestep_ray.artifacts.store import KEY, Artifacts, StorageError, StoredFile
from acestep_ray.jobs.client import JobStoreClient
from acestep_ray.jobs.result import JobResult
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound
from acestep_ray.jobs.store.operations import AckGarbage, Get, ListGarbage
from acestep_ray.jobs.store.records import JobRecord
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)


class ArtifactCollector:
    """Any number of collectors may work at once: everything that they do may be done twice."""

    def __init__(self, client: JobStoreClient, artifacts: Artifacts, settings: Settings) -> None:
        self._client = client
        self._artifacts = artifacts
        self._jobs = settings.jobs
        self._searched_at = time.monotonic()

    async def collect_garbage(self) -> None:
        """Delete the audio of deleted and expired jobs, and from time to time the orphans."""
        while ids := await self._client.apply(ListGarbage()):
            gone = [job_id for job_id in ids if await self._delete_audio(job_id)]
            await self._client.apply(AckGarbage(tuple(gone)))
            if len(gone) < len(ids):
                break  # what could not be deleted is first in the list again
        if time.monotonic() - self._searched_at >= self._jobs.search_every:
            self._searched_at = time.monotonic()
            await self.collect_orphans()

    async def _delete_audio(self, job_id: str) -> bool:
        try:
            await self._artifacts.delete_prefix(takes_prefix(job_id))
            await self._artifacts.delete_prefix(sources_prefix(job_id))
        except StorageError as error:
            logger.warning("The audio of job %s cannot be deleted now: %s", job_id, error)
            return False
        return True

    async def collect_orphans(self) -> int:
        """Delete old files that belong to no job, or to an attempt that has lost its job. Returns
        their number."""
        deleted = 0
        records: dict[str, JobRecord | None] = {}
        async for stored in self._old_files():
            role, job_id, *rest = stored.key.split("/")
            if not KEY.fullmatch(stored.key) or not rest:
                continue  # another program's file
            if job_id not in records:
                records[job_id] = await self._record(job_id)
            record = records[job_id]
            if record is None or (role == TAKES and not _needed(record, stored.key, rest)):
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
            snapshot = await self._client.apply(Get(job_id))
        except (JobNotFound, JobExpired):
            return None
        return snapshot.record


def _needed(record: JobRecord, key: str, rest: list[str]) -> bool:
    """Whether a file is a take of its job, or may still become one."""
    if record.result is not None:
        return key in {take.key for take in JobResult.model_validate_json(record.result).takes}
    return not record.status.ended and rest[0] == str(record.attempt)
