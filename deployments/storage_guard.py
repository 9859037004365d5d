"""Keeps a replica from starting on artifact storage that it could not use."""

import asyncio
import logging

from acestep_ray.audio.storage_check import check_storage
from acestep_ray.audio.storage_error import StorageError, StorageUnusable
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)

LOOK_AGAIN = 2.0
"""Seconds between two looks at storage that is away."""


async def storage_ready(settings: Settings) -> bool:
    """Whether the storage answers. Raises StorageUnusable, whose sentence Serve then shows.

    The environment that counts is this process's: each node has its own.
    """
    try:
        await asyncio.to_thread(
            check_storage, settings.artifacts_url, signing=settings.downloads == "redirect"
        )
    except StorageUnusable:
        raise
    except StorageError as error:
        logger.warning("%s", error)
        return False
    return True


async def until_storage_ready(settings: Settings) -> None:
    """Wait until the storage answers: in a cluster that starts, it may be the last to come up.

    Raises StorageUnusable.
    """
    ready = await storage_ready(settings)
    while not ready:
        await asyncio.sleep(LOOK_AGAIN)
        ready = await storage_ready(settings)
