"""The wait that clients are told."""

import pytest

from acestep_ray.jobs.eta import average_seconds, eta_seconds


@pytest.mark.parametrize(("position", "expected"), [(1, 5.0), (2, 10.0), (5, 25.0)])
def test_without_history_the_contract_gives_five_seconds_a_position(
    position: int, expected: float
) -> None:
    assert eta_seconds(position, average_seconds([], 5.0), decoders=1) == expected


def test_history_beats_the_default() -> None:
    assert average_seconds((2.0, 4.0, 9.0), 5.0) == 5.0
    assert average_seconds([0.0], 5.0) == 0.0


def test_decoders_share_the_wait() -> None:
    assert eta_seconds(6, 10.0, decoders=3) == 20.0


def test_no_decoder_counts_as_one() -> None:
    assert eta_seconds(2, 5.0, decoders=0) == 10.0
