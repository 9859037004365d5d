"""Tells the job store actor which engine replicas have died."""

import asyncio
import logging
import time

from ray.util import list_named_actors

from acestep_ray.jobs.roster import Roster

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks."""


def living_actors() -> set[str]:
    """Names of all named actors of the cluster, which Serve's replicas are among."""
    return {str(actor["name"]) for actor in list_named_actors(all_namespaces=True)}


async def watch_replicas(roster: Roster) -> None:
    """Have ``roster`` forget each replica that is dead, for ever.

    Ray is asked about all of them at once: a replica that is alive and slow, on a machine that has
    too much to do, is not taken for dead.
    """
    while True:
        await asyncio.sleep(LOOK_EVERY)
        now = time.monotonic()
        roster.forget_silent(now)
        if not roster.view().live:
            continue
        try:
            roster.forget_dead(await asyncio.to_thread(living_actors), since=now)
        except Exception as error:
            logger.warning("Ray does not say which replicas live: %s", error)
