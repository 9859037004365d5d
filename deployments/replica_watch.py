"""Removes dead engine replicas from the registry of the job store actor."""

import asyncio
import logging
import time

from ray.util import list_named_actors

from acestep_ray.replicas.registry import ReplicaRegistry

logger = logging.getLogger(__name__)

CHECK_EVERY = 1.0
"""Seconds between two checks."""


def living_actors() -> set[str]:
    """Names of all named actors of the cluster; those of Serve's replicas are among them."""
    return {str(actor["name"]) for actor in list_named_actors(all_namespaces=True)}


async def watch_replicas(registry: ReplicaRegistry) -> None:
    """Remove dead replicas from ``registry``, until this is cancelled.

    The replicas themselves are not called: Ray lists all live actors at once. So a slow replica, on
    a busy machine, does not count as dead.
    """
    while True:
        await asyncio.sleep(CHECK_EVERY)
        now = time.monotonic()
        registry.forget_silent(now)
        if not registry.snapshot().live:
            continue
        try:
            registry.forget_dead(await asyncio.to_thread(living_actors), since=now)
        except Exception as error:
            logger.warning("Ray does not report which replicas live: %s", error)
