"""Keeps the service from starting on a job store that it could not use."""

import asyncio
import logging

from acestep_ray.jobs.store.open import open_store
from acestep_ray.jobs.store.protocol import StoreUnavailable
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)


async def store_ready(settings: Settings) -> bool:
    """Whether the job store answers. Raises StoreUnsuitable, whose sentence Serve then shows.

    A SQLite file has one owner, the job store actor, and is left to it.
    """
    if settings.store_url.startswith("sqlite:"):
        return True
    try:
        store = await asyncio.to_thread(open_store, settings)
    except StoreUnavailable as error:
        logger.warning("%s", error)
        return False
    store.close()
    return True
