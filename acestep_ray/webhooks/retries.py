"""What follows from a try to deliver a message: it is delivered, tried again later, or given up."""

import random
from collections.abc import Callable

from acestep_ray.jobs.store.operations import SaveDelivery
from acestep_ray.jobs.store.records import DeliveryRecord, DeliveryState
from acestep_ray.settings.webhooks import Webhooks
from acestep_ray.webhooks.post import Response

GONE = 410
"""The receiver wants no more of these messages."""
JITTER = 0.2
"""A pause is longer or shorter by up to this share: messages that failed together do not return
together."""


def _jitter() -> float:
    return random.uniform(1 - JITTER, 1 + JITTER)


def outcome_of(
    record: DeliveryRecord,
    found: Response | str,
    settings: Webhooks,
    now: float,
    jitter: Callable[[], float] = _jitter,
) -> SaveDelivery:
    """What to store after a try at ``now`` (epoch seconds). ``found``: the response, or as a
    sentence why there is none."""
    tries = record.tries + 1
    if isinstance(found, Response) and found.delivered:
        return SaveDelivery(
            record.delivery_id, DeliveryState.DELIVERED, tries, http_status=found.status
        )
    if isinstance(found, Response):
        status, wanted = found.status, found.retry_after or 0.0
        error = f"the receiver responded with status {status}"
    else:
        status, wanted, error = None, 0.0, found
    last = record.created_at + settings.give_up_seconds
    if status == GONE or now >= last:
        return SaveDelivery(
            record.delivery_id, DeliveryState.FAILED, tries, http_status=status, error=error
        )
    pause = min(settings.first_pause * 2.0 ** min(tries - 1, 60), settings.longest_pause)
    # Never after the last moment: a message is then tried once more, and given up if that fails.
    next_at = min(now + max(pause * jitter(), wanted), last)
    return SaveDelivery(
        record.delivery_id, DeliveryState.PENDING, tries, next_at, http_status=status, error=error
    )
