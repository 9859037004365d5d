"""Sends the messages that the job store hands out: the loop of webhooks in the runner's process."""

import asyncio
import json
import logging
import time
from typing import cast

from acestep_ray.jobs.client import JobStoreClient
from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.records import DeliveryRecord
from acestep_ray.jobs.store_loop import repeat
from acestep_ray.jobs.webhook import ProgressDelivery
from acestep_ray.metrics import NO_METER, WEBHOOK_TRIES, Meter
from acestep_ray.settings.webhooks import Webhooks
from acestep_ray.shared_work import start_task
from acestep_ray.webhooks.hosts import Hosts, TurnedAway
from acestep_ray.webhooks.target import BadUrl, Target, target_of
from acestep_ray.webhooks.tries import SAVE_PATIENCE, JobData, Tries
from acestep_ray.work_context import WorkContext

logger = logging.getLogger(__name__)

AT_ONCE = 100
"""Messages that are handed out together."""
WAIT_SECONDS = 10.0
"""Longest time that a request for messages waits, in seconds."""
TURN_SECONDS = 30.0
"""Longest time that a message waits for its turn, in seconds."""


class Sender:
    """One per process. ``start`` it in its event loop, ``drain`` it before the process ends.

    A message that was handed out is this sender's for a while; if the process dies, it is handed
    out again afterwards. So each message is delivered at least once, or given up. Progress is sent
    once, or not at all.
    """

    def __init__(
        self,
        client: JobStoreClient,
        job_data: JobData,
        settings: Webhooks,
        meter: Meter = NO_METER,
    ) -> None:
        self._client = client
        self._settings = settings
        self._meter = meter
        self._tries = Tries(client, job_data, settings, meter)
        self._hosts = Hosts(
            settings.concurrency,
            settings.per_host,
            settings.first_pause,
            min(settings.longest_pause, TURN_SECONDS),
        )
        self._loop: asyncio.Task[None] | None = None
        self._messages: set[asyncio.Task[None]] = set()
        self._begun: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to send, if there is a secret to sign with."""
        if not self._settings.secrets:
            return
        for outcome in ("delivered", "retry", "failed"):
            # Prometheus sees only the increase of a series that it knows.
            self._meter.add(WEBHOOK_TRIES, 0, kind=EventKind.ENDED, outcome=outcome)
        self._loop = start_task(repeat(self._hand_out, "The sending of webhooks"), "webhooks")

    def check(self) -> None:
        """Raise RuntimeError if the loop has ended: the replica must be replaced."""
        if self._loop is not None and self._loop.done():
            raise RuntimeError("the loop of webhooks has ended")

    async def drain(self) -> None:
        """Begin no more tries, and wait for those that have begun."""
        if self._loop is not None:
            self._loop.cancel()
        for task in self._messages - self._begun:
            task.cancel()
        if self._begun:
            await asyncio.wait(self._begun)

    async def _hand_out(self) -> None:
        """Start a task for each message that is due."""
        # Nobody else gets a message before its outcome is stored.
        lease = TURN_SECONDS + self._settings.timeout + SAVE_PATIENCE
        found = await self._client.deliveries(AT_ONCE, lease, WAIT_SECONDS)
        until = time.monotonic() + TURN_SECONDS
        for message in found:
            task = start_task(self._end(message, until), works_for=_work_of(message))
            self._messages.add(task)
            task.add_done_callback(self._messages.discard)
            task.add_done_callback(self._begun.discard)

    async def _end(self, message: DeliveryRecord | ProgressDelivery, until: float) -> None:
        """Wait for a turn and try once. If a message cannot be tried now, it is handed out again
        later, unless it is progress."""
        try:
            target = target_of(url_of(message))
            async with self._hosts.turn(target.authority, until):
                self._begun.add(cast("asyncio.Task[None]", asyncio.current_task()))
                responded = await self._try(message, target)
                if responded is not None:
                    self._hosts.note(target.authority, responded=responded)
        except BadUrl as error:  # another release accepted it
            if isinstance(message, DeliveryRecord):
                await self._tries.give_up(message, str(error))
        except TurnedAway:
            if isinstance(message, ProgressDelivery):
                self._meter.add(WEBHOOK_TRIES, kind=message.event.kind, outcome="dropped")
            logger.debug("A webhook message waits: its receiver does not respond or is slow")
        except StoreUnavailable as error:
            logger.info("A webhook message waits: %s", error)
        except Exception:
            logger.exception("A webhook message could not be sent")

    async def _try(self, message: DeliveryRecord | ProgressDelivery, target: Target) -> bool | None:
        """Whether the receiver has responded; None if nothing was sent."""
        if isinstance(message, DeliveryRecord):
            return await self._tries.stored(message, target)
        return await self._tries.progress(message, target)


def _work_of(message: DeliveryRecord | ProgressDelivery) -> WorkContext:
    """For the log lines about the message."""
    about = message.change if isinstance(message, DeliveryRecord) else message.event
    return WorkContext(job_id=about.job_id, attempt=about.attempt)


def url_of(message: DeliveryRecord | ProgressDelivery) -> str:
    """The URL of the message's webhook, which this or another release has stored. Raises BadUrl."""
    stored = message.change.webhook if isinstance(message, DeliveryRecord) else message.webhook
    try:
        return str(json.loads(stored)["url"])
    except (ValueError, LookupError, TypeError):
        raise BadUrl("The webhook cannot be read.") from None
