"""What follows from a try: a receiver that is down for a while misses nothing, and one that is gone
is left alone."""

import pytest

from acestep_ray.jobs.store.records import DeliveryState
from acestep_ray.settings import Webhooks
from acestep_ray.webhooks.post import Response
from acestep_ray.webhooks.retries import JITTER, outcome_of
from tests.unit.webhooks.deliveries import delivery

SETTINGS = Webhooks()
DAY = 86_400.0


def pause(tries: int, found: Response | str = "no connection", jitter: float = 1.0) -> float:
    """Seconds until the next try, after so many."""
    record = delivery(tries=tries - 1)
    outcome = outcome_of(record, found, SETTINGS, 1000.0, lambda: jitter)
    assert outcome.state is DeliveryState.PENDING and outcome.tries == tries
    assert outcome.next_at is not None
    return outcome.next_at - 1000.0


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_delivery(status: int) -> None:
    outcome = outcome_of(delivery(tries=4), Response(status), SETTINGS, 2000.0)
    assert (outcome.state, outcome.tries) == (DeliveryState.DELIVERED, 5)
    assert (outcome.http_status, outcome.error, outcome.next_at) == (status, None, None)


@pytest.mark.parametrize("status", [101, 301, 308, 400, 401, 404, 405, 408, 429, 500, 503, 599])
def test_any_other_status_is_tried_again(status: int) -> None:
    """Also 4xx: a receiver may be deployed wrongly for an hour."""
    outcome = outcome_of(delivery(), Response(status), SETTINGS, 1000.0)
    assert (outcome.state, outcome.http_status) == (DeliveryState.PENDING, status)
    assert outcome.error == f"the receiver responded with status {status}"


def test_a_receiver_that_is_gone_is_not_tried_again() -> None:
    outcome = outcome_of(delivery(), Response(410), SETTINGS, 1000.0)
    assert (outcome.state, outcome.next_at) == (DeliveryState.FAILED, None)


def test_pauses_double_from_a_second_to_an_hour() -> None:
    assert [pause(tries) for tries in (1, 2, 3, 4, 12)] == [1, 2, 4, 8, 2048]
    assert {pause(tries) for tries in (13, 14, 100, 10_000)} == {3600}


def test_messages_that_failed_together_do_not_return_together() -> None:
    found = {
        outcome_of(delivery(tries=10), "no connection", SETTINGS, 0.0).next_at for _ in range(50)
    }
    assert len(found) > 10
    assert all(one and 1024 * (1 - JITTER) <= one <= 1024 * (1 + JITTER) for one in found)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_receiver_that_says_when_to_come_again_is_obeyed(status: int) -> None:
    assert pause(1, Response(status, retry_after=120.0)) == 120
    assert pause(1, Response(status, retry_after=7200.0)) == 7200
    assert pause(10, Response(status, retry_after=5.0)) == 512  # never sooner than otherwise
    assert pause(1, Response(status, retry_after=1e9)) == DAY


def test_the_last_try_is_after_a_day() -> None:
    record = delivery(tries=30)
    just_before = outcome_of(record, "no connection", SETTINGS, 1000.0 + DAY - 5)
    assert (just_before.state, just_before.next_at) == (DeliveryState.PENDING, 1000.0 + DAY)
    then = outcome_of(record, "no connection", SETTINGS, 1000.0 + DAY)
    assert (then.state, then.next_at, then.error) == (DeliveryState.FAILED, None, "no connection")


def test_a_message_that_waited_for_days_gets_one_try() -> None:
    """The service itself was down."""
    outcome = outcome_of(delivery(), Response(200), SETTINGS, 1000.0 + 5 * DAY)
    assert outcome.state is DeliveryState.DELIVERED
