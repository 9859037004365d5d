"""What decides how long a song is."""

import pytest

from acestep_ray.planner.duration import choose_duration, estimate_seconds
from acestep_ray.settings import Lyrics

SETTINGS = Lyrics()
WORDS = "la " * 220  # 100 s at 2.2 words per second


def test_the_estimate_counts_words() -> None:
    assert estimate_seconds(WORDS, SETTINGS) == pytest.approx(100.0)
    assert estimate_seconds("don't " * 220, SETTINGS) == pytest.approx(100.0)


def test_the_estimate_counts_characters_where_words_are_few() -> None:
    assert estimate_seconds("爱 " * 1200, SETTINGS) == pytest.approx(100.0)
    seven, eight = "abcdefgh " * 7, "abcdefgh " * 8
    fine = Lyrics(min_duration=10, words_per_second=0.5, chars_per_second=4)
    assert estimate_seconds(seven, fine) == pytest.approx(14.0)
    assert estimate_seconds(eight, fine) == pytest.approx(16.0)


def test_the_estimate_has_bounds() -> None:
    assert estimate_seconds("hello", SETTINGS) == 45.0
    assert estimate_seconds("la " * 20_000, SETTINGS) == 180.0


@pytest.mark.parametrize(
    ("given", "lm", "lyrics", "estimate", "seconds"),
    [
        (12.5, 95, WORDS, True, 12.5),  # the user's, even if it is short
        (None, 95, WORDS, True, 95.0),
        (None, 95, "", True, 95.0),
        (None, 30, WORDS, True, 30.0),
        (None, 29, WORDS, True, 100.0),  # too short for a song with lyrics
        (None, 29, WORDS, False, 60.0),
        (None, 29, " \n", True, 29.0),  # blank lyrics are none
        (None, 29, "[Instrumental]", True, 29.0),  # nor are the tags of an instrumental
        (None, 29, " [inst]\n", True, 29.0),
        (None, 29, "[ INSTRUMENTAL ]\n\n[instrumental]", True, 29.0),
        (None, 29, "Instrumental", True, 45.0),  # a word, which is sung
        (None, 29, "[Instrumental] break", True, 45.0),
        (None, None, "[instrumental]", True, 60.0),
        (None, 29, "[Instrumental]\nla la", True, 45.0),
        (None, None, WORDS, True, 100.0),
        (None, None, WORDS, False, 60.0),
        (None, None, "", True, 60.0),
    ],
)
def test_the_order(
    given: float | None, lm: int | None, lyrics: str, estimate: bool, seconds: float
) -> None:
    chosen = choose_duration(given, lm, lyrics, SETTINGS, 60.0, estimate=estimate)
    assert chosen == pytest.approx(seconds)


def test_bounds_hold_for_all_but_the_users_own() -> None:
    bounds = (10, 50)
    assert choose_duration(None, 95, "", SETTINGS, 60.0, bounds=bounds) == 50
    assert choose_duration(None, None, WORDS, SETTINGS, 60.0, bounds=bounds) == 50
    assert choose_duration(None, None, "", SETTINGS, 3.0, bounds=bounds) == 10
    assert choose_duration(90.0, 20, WORDS, SETTINGS, 60.0, bounds=bounds) == 90.0
