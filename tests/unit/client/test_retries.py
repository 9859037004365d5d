"""Pauses are long enough for the service and short enough for its users."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from acestep_ray.client import NO_RETRIES, Retries
from acestep_ray.client.retries import Tries, retry_after_of


def test_pauses_double_up_to_the_longest_one_and_differ_by_chance() -> None:
    retries = Retries(first_pause=1, longest_pause=8)
    for number, most in enumerate((1, 2, 4, 8, 8)):
        drawn = []
        for _ in range(20):
            tries = Tries(retries, 1e6)
            pause = [tries.pause(None) for _ in range(number + 1)][-1]
            assert pause is not None
            drawn.append(pause)
        assert most / 2 <= min(drawn) < max(drawn) <= most
        assert len(set(drawn)) > 1


def test_retry_after_is_the_shortest_pause() -> None:
    for _ in range(20):
        pause = Tries(Retries(first_pause=1), 1e6).pause(30)
        assert pause is not None and 30 <= pause <= 31


def test_there_is_no_try_after_the_limit() -> None:
    assert Tries(NO_RETRIES, 0).pause(None) is None
    assert Tries(Retries(), 10).pause(11) is None, "the server wants it later than the limit"
    pause = Tries(Retries(first_pause=100, longest_pause=100), 10).pause(None)
    assert pause is not None and pause <= 10, "the last try is at the limit"


def test_success_begins_anew() -> None:
    tries = Tries(Retries(first_pause=1, longest_pause=1000), 1e6)
    for _ in range(8):
        tries.pause(None)
    tries.succeeded()
    pause = tries.pause(None)
    assert pause is not None and pause <= 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), (" 0 ", 0), ("", None), ("soon", None), ("-3", None), ("1.5", None), ("٣", None)],
)
def test_retry_after_in_seconds(text: str, seconds: float | None) -> None:
    assert retry_after_of({"retry-after": text}) == seconds


def test_retry_after_as_a_date() -> None:
    date = datetime.now(UTC) + timedelta(seconds=90)
    found = retry_after_of({"retry-after": format_datetime(date, usegmt=True)})
    assert found is not None and 60 < found <= 90
    past = retry_after_of({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert past == 0
    assert retry_after_of({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000"}) == 0
