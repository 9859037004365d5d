"""The level of finished takes."""

import numpy as np
import pytest

from acestep_ray.audio.level import PEAK, limit_peak, normalise_peak, peak_of


def test_the_peak_is_minus_one_decibel() -> None:
    assert pytest.approx(0.891251, abs=1e-6) == PEAK


@pytest.mark.parametrize("level", [1e-4, 0.3, 1.0, 37.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_quiet_and_loud_takes_come_to_the_same_peak(level: float, sign: int) -> None:
    samples = np.array([[0.1, 0.0], [-0.5, 1.0]], dtype=np.float32) * np.float32(level * sign)
    normalise_peak(samples)
    assert samples.dtype == np.float32
    assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-6)
    assert samples[1, 0] / samples[1, 1] == pytest.approx(-0.5, abs=1e-6)


def test_another_peak_may_be_asked_for() -> None:
    samples = np.full((4, 2), 0.2, dtype=np.float32)
    normalise_peak(samples, 0.5)
    assert peak_of(samples) == pytest.approx(0.5)


@pytest.mark.parametrize("value", [0.0, 1e-6, -1e-40])
def test_silence_stays_silence(value: float) -> None:
    samples = np.full((8, 2), value, dtype=np.float32)
    before = samples.copy()
    normalise_peak(samples)
    assert np.array_equal(samples, before)


def test_no_samples_are_silent() -> None:
    empty = np.zeros((0, 2), dtype=np.float32)
    normalise_peak(empty)
    assert peak_of(empty) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(value: float) -> None:
    samples = np.zeros((8, 2), dtype=np.float32)
    samples[3, 1] = value
    for bring_to_level in (normalise_peak, limit_peak):
        with pytest.raises(ValueError, match="finite"):
            bring_to_level(samples)


@pytest.mark.parametrize("peak", [1.0000001, 1.7, -37.0])
def test_what_would_clip_is_divided_by_its_peak(peak: float) -> None:
    samples = np.array([[0.1, 0.0], [-0.5, 1.0]], dtype=np.float32) * np.float32(peak)
    limit_peak(samples)
    assert samples.dtype == np.float32
    assert peak_of(samples) == 1
    assert samples[1, 0] / samples[1, 1] == pytest.approx(-0.5, abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.3, -1.0, 1.0])
def test_what_does_not_clip_keeps_its_level(value: float) -> None:
    samples = np.full((8, 2), value, dtype=np.float32)
    limit_peak(samples)
    assert np.all(samples == np.float32(value))


@pytest.mark.parametrize("value", [0.25, -0.75])
def test_the_peak_has_no_sign(value: float) -> None:
    assert peak_of(np.full((3, 2), value, dtype=np.float32)) == abs(value)
