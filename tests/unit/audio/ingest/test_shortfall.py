"""The rule that distinguishes a cut file from a length that was never true."""

import pytest

from acestep_ray.audio.ingest.shortfall import CutOff, Lengths, judge


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (Lengths(5, 5), ""),
        (Lengths(5, 5.000_02), "it ends 0.001 seconds before its header says"),
        (Lengths(5, 5.1), "it ends 0.100 seconds before its header says"),
        (Lengths(5, 5.5, block=0.512), "it ends 0.500 seconds before its header says"),
        (Lengths(5, 5, damaged=True), "it breaks off, or is damaged inside"),
        (Lengths(5, 600.1), "its header names 600.1 seconds, more than is accepted"),
        (Lengths(599.99, 600.01), "its header names 600.0 seconds, more than is accepted"),
        (Lengths(0.1, 1e9), "its header names 1000000000.0 seconds, more than is accepted"),
    ],
)
def test_what_is_taken(lengths: Lengths, message: str) -> None:
    warning = judge(lengths, 600)
    assert warning.startswith(message)
    assert bool(warning) == bool(message)


@pytest.mark.parametrize(
    ("read", "stated", "message"),
    [
        (5, 5.11, "of 5.11 seconds only the first 5.00"),
        (0.01, 0.12, "of 0.12 seconds only the first 0.01"),
        (1, 600, "of 600.0 seconds only the first 1.00"),
    ],
)
def test_what_is_a_cut(read: float, stated: float, message: str) -> None:
    with pytest.raises(CutOff, match=message):
        judge(Lengths(read, stated), 600)
    with pytest.raises(CutOff, match=message):
        judge(Lengths(read, stated, damaged=True), 600)
