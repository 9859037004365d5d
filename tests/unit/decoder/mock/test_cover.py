"""Covers: the source's length and loudness contour, by strength."""

import numpy as np
import pytest

from acestep_ray.audio.level import PEAK
from acestep_ray.decoder.mock.loudness import contour
from acestep_ray.decoder.protocol import Sources
from acestep_ray.timebase import SAMPLES_PER_FRAME, Samples
from tests.unit.decoder.mock.takes import swell, take


def cover(source: Samples, rate: int = 48_000, strength: float = 1.0) -> Samples:
    return take(
        Sources(source=source, source_rate=rate), task="cover", cover_strength=strength, seconds=60
    )


def likeness(music: Samples, source: Samples) -> float:
    """Correlation of the two loudness contours."""
    return float(np.corrcoef(contour(music), contour(source[: len(music)]))[0, 1])


def test_a_cover_swells_where_its_source_does() -> None:
    source = swell(12.0)
    full, half, none = (likeness(cover(source, strength=s), source) for s in (1.0, 0.5, 0.0))
    assert full > 0.97
    assert none < half < full
    assert abs(none) < 0.4


def test_without_strength_nothing_of_the_contour_is_left() -> None:
    first, second = cover(swell(6.0), strength=0.0), cover(swell(6.0)[::-1], strength=0.0)
    assert np.array_equal(first, second)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (22_050, 2), (96_000, 3)])
def test_any_rate_and_channels_give_a_cover_of_whole_frames(rate: int, channels: int) -> None:
    samples = cover(swell(4.03, rate, channels), rate)
    assert samples.shape == (100 * SAMPLES_PER_FRAME, 2)
    assert np.abs(samples).max() == pytest.approx(PEAK, abs=1e-6)


def test_a_source_that_falls_silent_silences_its_cover() -> None:
    source = swell(8.0)
    source[4 * 48_000 :] = 0
    samples = cover(source)
    assert np.abs(samples[5 * 48_000 :]).max() < 1e-3
    assert np.abs(samples[: 4 * 48_000]).max() > 0.5


def test_the_cover_of_silence_is_silence_at_full_strength_only() -> None:
    silence = np.zeros((96_000, 2), dtype=np.float32)
    assert not cover(silence).any()
    assert np.abs(cover(silence, strength=0.5)).max() == pytest.approx(PEAK, abs=1e-6)


def test_codes_win_over_the_source() -> None:
    codes = (tuple(range(20)),)
    sources = Sources(source=swell(8.0), source_rate=48_000)
    assert np.array_equal(take(sources, task="cover", codes=codes), take(codes=codes))
