"""Keeps an engine replica known to the job store actor while it lives."""

import asyncio
import contextlib
import logging
from dataclasses import replace

import ray
from ray import serve

from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.jobs.roster import ANNOUNCE_EVERY, Announcement
from acestep_ray.planner.protocol import PlannerDescription
from deployments.card import cards
from deployments.store_client import StoreClient

logger = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds before what failed is tried again."""


class Presence:
    """Announces this replica, with as many slots as it may have requests at a time."""

    def __init__(
        self, client: StoreClient, description: PlannerDescription | DecoderDescription
    ) -> None:
        context = serve.get_replica_context()
        self._client = client
        self._word = Announcement(
            replica=context.replica_id.to_full_id_str(),
            deployment=context.deployment,
            description=description,
            slots=context._deployment_config.max_ongoing_requests,
            node=ray.get_runtime_context().get_node_id(),
            cards=cards(),
        )
        self._task = asyncio.create_task(self._announce())

    async def _announce(self) -> None:
        while True:
            try:
                await self._client.announce(self._word, ANNOUNCE_EVERY)
            except Exception:
                logger.exception("Cannot announce this replica; trying again")
                await asyncio.sleep(PAUSE)

    async def leave(self) -> None:
        """Say goodbye, so that no job is sent here any more."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._client.announce(replace(self._word, slots=0), 0)
