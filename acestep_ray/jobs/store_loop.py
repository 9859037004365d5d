"""Work with the job store that a process repeats as long as it lives."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from acestep_ray.jobs.store.errors import StoreUnavailable

logger = logging.getLogger(__name__)

PAUSE = 0.5
"""Seconds between a failure and the next try."""


async def repeat(once: Callable[[], Awaitable[object]], what: str) -> None:
    """Await ``once()`` again and again, until this is cancelled; a failure is tried again.

    ``what``: the work, as the subject of a sentence. That the store is unavailable is one warning
    for each outage, because it is back by itself; every other failure is logged with its traceback.
    """
    unavailable = False
    while True:
        try:
            await once()
            unavailable = False
        except StoreUnavailable as error:
            if not unavailable:
                logger.warning("%s must wait for the job store: %s", what, error)
            unavailable = True
            await asyncio.sleep(PAUSE)
        except Exception:
            logger.exception("%s failed; trying again", what)
            await asyncio.sleep(PAUSE)
