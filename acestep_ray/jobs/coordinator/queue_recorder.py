"""Records the state of the queue as metrics, every few seconds."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from acestep_ray.jobs.coordinator.job_metrics import JobMetrics
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.records import StoreStats
from acestep_ray.replicas.capacity import Capacity
from acestep_ray.shared_work import start_task

logger = logging.getLogger(__name__)

RECORD_EVERY = 5.0
"""Seconds between two records: Ray drops a gauge that is not set again for 20 s."""


class QueueRecorder:
    """Works from ``start`` until ``stop``.

    ``stats`` reads the counts from the store and may raise StoreUnavailable. ``capacity``: of this
    cluster. ``clock``: epoch seconds. ``every``: seconds between two records.
    """

    def __init__(
        self,
        metrics: JobMetrics,
        stats: Callable[[], Awaitable[StoreStats]],
        capacity: Callable[[], Capacity],
        clock: Callable[[], float],
        every: float = RECORD_EVERY,
    ) -> None:
        self._metrics = metrics
        self._stats = stats
        self._capacity = capacity
        self._clock = clock
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with the first record at once."""
        self._task = start_task(self._run(), name="queue metrics")

    async def stop(self) -> None:
        """Stop, and wait for the end."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._every):  # a store that hangs is down, too
                    stats = await self._stats()
                self._metrics.queue(stats, self._capacity(), self._clock())
            except (StoreUnavailable, TimeoutError):
                self._metrics.store_is_down()
            except Exception:
                logger.exception("The queue cannot be measured; trying again")
            await asyncio.sleep(self._every)
