"""Makes the songs of a batch: a bounded number at a time, each request once."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from acestep_ray.cli.batch.lines import Line
from acestep_ray.cli.batch.state import BatchState, Song, SongStatus
from acestep_ray.client import (
    ApiError,
    AsyncClient,
    AsyncJob,
    AuthenticationFailed,
    ConnectionFailed,
    Gone,
    InvalidRequest,
    JobFailed,
    NotFound,
    RateLimited,
    ServiceUnavailable,
    UnexpectedResponse,
)

FULL_PAUSE = 5.0
"""Seconds until the next try if the queue is full and the service does not name another time."""
CAPACITY_SECONDS = 30.0
"""How often the capacity of the service is read."""
FEWEST, MOST = 4, 90
"""Songs at a time, whatever the capacity. Each has one of the 100 connections of the client."""
BATCH_ENDS = (AuthenticationFailed, ConnectionFailed, ServiceUnavailable, UnexpectedResponse)
"""What no other song would get over either."""


class BatchRun:
    """One run. ``in_flight``: songs at a time; None: twice as many as the service's replicas can
    hold, so that none of them has to wait. ``ended`` is called with each song that has ended."""

    def __init__(
        self,
        client: AsyncClient,
        state: BatchState,
        folder: Path,
        in_flight: int | None,
        ended: Callable[[Line, Song], None],
    ) -> None:
        self._client = client
        self._state = state
        self._folder = folder
        self._fixed = in_flight
        self._ended = ended
        self._limit = in_flight or FEWEST
        self._read_at = float("-inf")
        self._sending = asyncio.Lock()
        self.active = 0
        """Songs that are made now."""

    async def make(self, lines: Sequence[Line]) -> None:
        """Make these songs. What is reached is in the state, also if this raises ApiError or
        OSError, or is cancelled."""
        waiting = deque(lines)
        tasks: set[asyncio.Task[None]] = set()
        try:
            while waiting or tasks:
                await self._read_capacity()
                while waiting and len(tasks) < self._limit:
                    tasks.add(asyncio.create_task(self._make(waiting.popleft())))
                self.active = len(tasks)
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                errors = [error for task in done if (error := task.exception())]
                if errors:
                    raise errors[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.active = 0

    async def _read_capacity(self) -> None:
        if self._fixed or time.monotonic() - self._read_at < CAPACITY_SECONDS:
            return
        stats = await self._client.stats()
        slots = stats.capacity.plan_slots + stats.capacity.decode_slots
        most = min(MOST, stats.queue_maxsize or MOST)
        self._limit = max(min(FEWEST, most), min(2 * slots, most))
        self._read_at = time.monotonic()

    async def _make(self, line: Line) -> None:
        song = self._state.of(line)
        try:
            job, song = await self._job(line, song)
            song = await self._finish(job, song)
        except BATCH_ENDS:
            raise
        except (ApiError, TypeError, ValueError) as error:
            song = self._state.save(_failed(self._state.of(line), error))
        self._ended(line, song)

    async def _job(self, line: Line, song: Song) -> tuple[AsyncJob, Song]:
        """The job of a song: the one that is known, else a new one."""
        if song.job_id is not None:
            try:
                return await self._client.job(song.job_id), song
            except (NotFound, Gone):  # deleted or expired, and its takes were never fetched
                song = song.again()
        async with self._sending:  # while one waits for room in the queue, all others do
            song = self._state.ask(song)
            job = await self._submit(dict(line.fields), self._state.idempotency_key(song))
            queued = replace(
                song, status=SongStatus.QUEUED, job_id=job.id, warnings=tuple(job.warnings)
            )
            return job, self._state.save(queued)

    async def _submit(self, fields: dict[str, Any], key: str) -> AsyncJob:
        while True:
            try:
                return await self._client.generate(idempotency_key=key, **fields)
            except RateLimited as full:
                await asyncio.sleep(full.retry_after or FULL_PAUSE)

    async def _finish(self, job: AsyncJob, song: Song) -> Song:
        """Wait for the job, and download its takes. Raises JobFailed and ApiError."""
        await job.wait()
        files = await job.download(self._folder, f"{song.name}-{{take}}.{{ext}}")
        assert job.result is not None
        made = replace(
            song,
            status=SongStatus.MADE,
            files=tuple(file.name for file in files),
            seeds=job.result.seed_value,
            warnings=tuple(job.warnings),
            error=None,
            code=None,
        )
        return self._state.save(made)


def _failed(song: Song, error: Exception) -> Song:
    """The song with the reason. The next run tries again, unless the same request or the same job
    would fail again."""
    final = not isinstance(error, ApiError) or isinstance(error, JobFailed | InvalidRequest)
    return replace(
        song,
        status=SongStatus.FAILED if final else SongStatus.UNFINISHED,
        error=str(error),
        code=error.code if isinstance(error, ApiError) else "invalid_value",
    )
