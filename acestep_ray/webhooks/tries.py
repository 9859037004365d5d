"""One try to deliver a message: made from the job as it is now, sent, and its outcome stored."""

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from acestep_ray.jobs.client import JobStoreClient
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound, StoreUnavailable
from acestep_ray.jobs.store.operations import Get, SaveDelivery
from acestep_ray.jobs.store.records import DeliveryRecord, DeliveryState
from acestep_ray.jobs.webhook import ProgressDelivery
from acestep_ray.metrics import WEBHOOK_SECONDS, WEBHOOK_TRIES, Meter
from acestep_ray.settings.webhooks import Webhooks
from acestep_ray.webhooks.message import Message, data_of_deleted, signed
from acestep_ray.webhooks.post import NoResponse, Poster, Response
from acestep_ray.webhooks.resolver import Resolver
from acestep_ray.webhooks.retries import outcome_of
from acestep_ray.webhooks.target import Target

logger = logging.getLogger(__name__)

JobData = Callable[[Snapshot], Mapping[str, Any]]
"""A job as messages contain it, ready for JSON."""

SAVE_PATIENCE = 30.0
"""Seconds for which the outcome of a try waits for the store. If it is not stored, the message is
sent again."""


class Tries:
    """Makes tries. One per process.

    A try returns whether the receiver has responded, whatever the response was. All methods raise
    StoreUnavailable.
    """

    def __init__(
        self, client: JobStoreClient, job_data: JobData, settings: Webhooks, meter: Meter
    ) -> None:
        self._client = client
        self._job_data = job_data
        self._settings = settings
        self._meter = meter
        self._poster = Poster(Resolver(settings.allowed_networks), settings.timeout)

    async def stored(self, record: DeliveryRecord, target: Target) -> bool:
        """Try a message that is stored."""
        found: Response | str
        try:
            found = await self._post(await self._message(record), target)
        except StoreUnavailable:
            raise
        except Exception:
            # It must not be tried for ever without a pause: this is a failure like others.
            logger.exception("Webhook message %s could not be sent", record.delivery_id)
            found = "the service could not send it"
        await self._save(record, outcome_of(record, found, self._settings, time.time()))
        return isinstance(found, Response)

    async def _message(self, record: DeliveryRecord) -> Message:
        try:
            snapshot = await self._client.apply(Get(record.job_id))
            data, trace = self._job_data(snapshot), trace_of(snapshot.record.spec)
        except (JobNotFound, JobExpired):
            data, trace = data_of_deleted(record.change), ""
        at = record.change.at or record.created_at
        return Message(record.delivery_id, record.kind, at, data, trace)

    async def give_up(self, record: DeliveryRecord, reason: str) -> None:
        """Store that a message cannot be sent at all."""
        tries = record.tries + 1
        await self._save(
            record, SaveDelivery(record.delivery_id, DeliveryState.FAILED, tries, error=reason)
        )

    async def progress(self, progress: ProgressDelivery, target: Target) -> bool | None:
        """Try a message about progress, which is not stored. If the job no longer runs, nothing is
        sent, and the result is None."""
        event = progress.event
        try:
            snapshot = await self._client.apply(Get(event.job_id))
        except (JobNotFound, JobExpired):
            return None
        if snapshot.record.status is not Status.RUNNING:
            return None
        data, trace = self._job_data(snapshot), trace_of(snapshot.record.spec)
        message_id = f"{event.job_id}-{event.kind}-{uuid.uuid4().hex}"
        found = await self._post(Message(message_id, event.kind, event.at, data, trace), target)
        delivered = isinstance(found, Response) and found.delivered
        outcome = "delivered" if delivered else "dropped"
        self._meter.add(WEBHOOK_TRIES, kind=event.kind, outcome=outcome)
        return isinstance(found, Response)

    async def _post(self, message: Message, target: Target) -> Response | str:
        """The response, or as a text why there is none."""
        headers, body = signed(message, self._settings.secrets, time.time())
        began = time.monotonic()
        found: Response | str
        try:
            found = await self._poster.post(target, headers, body)
        except NoResponse as error:
            why = error.__cause__ or error
            logger.info("No response to webhook message %s: %s", message.message_id, why)
            found = str(error)
        self._meter.observe(WEBHOOK_SECONDS, time.monotonic() - began)
        return found

    async def _save(self, record: DeliveryRecord, outcome: SaveDelivery) -> None:
        await self._client.apply(outcome, patience=SAVE_PATIENCE)
        word = "retry" if outcome.state is DeliveryState.PENDING else str(outcome.state)
        self._meter.add(WEBHOOK_TRIES, kind=record.kind, outcome=word)
        if outcome.state is DeliveryState.FAILED:
            logger.warning(
                "Webhook message %s about job %s (%s) was given up: %s",
                record.delivery_id,
                record.job_id,
                record.kind,
                outcome.error,
            )


def trace_of(spec: str) -> str:
    """The W3C traceparent in the JSON of a JobSpec; empty if there is none."""
    try:
        return str(json.loads(spec).get("trace", ""))
    except (ValueError, AttributeError):
        return ""
