"""Records the state of the queue as metrics, every few seconds."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from acestep_ray.jobs.coordinator.job_metrics import JobMetrics
from acestep_ray.jobs.snapshot import QueueStats
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.replicas.registry import ReplicaRegistry

logger = logging.getLogger(__name__)

RECORD_EVERY = 5.0
"""Seconds between two records: Ray drops a gauge that is not set again for 20 s."""


async def record_queue(
    metrics: JobMetrics,
    stats: Callable[[], Awaitable[QueueStats]],
    registry: ReplicaRegistry,
    clock: Callable[[], float] = time.time,
    every: float = RECORD_EVERY,
) -> None:
    """Record until cancelled, the first time at once.

    ``stats``: as JobCoordinator.stats; it may raise StoreUnavailable. ``registry``: this cluster's
    replicas. ``clock``: epoch seconds. ``every``: seconds between two records.
    """
    while True:
        try:
            async with asyncio.timeout(every):  # a store that hangs is down, too
                counts = (await stats()).store
            metrics.queue(counts, registry.snapshot().capacity(), clock())
        except (StoreUnavailable, TimeoutError):
            metrics.store_is_down()
        except Exception:
            logger.exception("The queue cannot be measured; trying again")
        await asyncio.sleep(every)
