"""Whether a request fits the LM's context is known before the work begins."""

import pytest

from acestep_ray.planner.context import METADATA_TOKENS, check_context, longest_seconds

CONTEXT = 8192
ROOM = CONTEXT - METADATA_TOKENS - 1


def test_600_seconds_leave_room_for_a_long_text() -> None:
    check_context(ROOM - 3000, 600, CONTEXT)
    with pytest.raises(ValueError, match=f"{ROOM - 2999} tokens and the 3000 audio codes of 600"):
        check_context(ROOM - 2999, 600, CONTEXT)


def test_metadata_alone_need_no_room_for_codes() -> None:
    check_context(ROOM, 0, CONTEXT)
    with pytest.raises(ValueError, match=f"{ROOM + 1} tokens cannot fit.* take {ROOM}$"):
        check_context(ROOM + 1, 0, CONTEXT)


@pytest.mark.parametrize("tokens", [0, 17, 4550, 4551, 4552, 7000, ROOM - 50])
def test_the_longest_song_fits_and_no_longer_one(tokens: int) -> None:
    longest = longest_seconds(tokens, CONTEXT)
    check_context(tokens, longest, CONTEXT)
    if longest < 600:
        with pytest.raises(ValueError, match="cannot fit"):
            check_context(tokens, longest + 1, CONTEXT)


def test_a_text_that_fills_the_context_leaves_no_song() -> None:
    assert longest_seconds(ROOM - 49, CONTEXT) < 10
    assert longest_seconds(CONTEXT * 2, CONTEXT) == 0
