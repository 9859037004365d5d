"""Reference audio colours the instruments."""

import numpy as np
import pytest

from acestep_ray.decoder.mock.reference import brightness
from acestep_ray.decoder.protocol import Sources
from acestep_ray.timebase import Samples
from tests.unit.decoder.mock.takes import take


def tone(hertz: float, rate: int = 44_100, seconds: float = 1.0) -> Samples:
    t = np.arange(round(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * hertz * t)).astype(np.float32)[:, np.newaxis]


def centroid(samples: Samples) -> float:
    """Centre of the spectrum's power below 8 kHz, Hz; hi-hats are above."""
    power = np.square(np.abs(np.fft.rfft(samples.mean(axis=1))))
    frequency = np.fft.rfftfreq(len(samples), 1 / 48_000)
    power, frequency = power[frequency < 8000], frequency[frequency < 8000]
    return float((power * frequency).sum() / power.sum())


def test_a_bright_reference_brightens_and_a_dark_one_darkens() -> None:
    assert brightness(tone(150), 44_100) < -0.2 < 0.2 < brightness(tone(6000), 44_100)
    sounds = [
        take(Sources(reference=tone(hertz), reference_rate=44_100), caption="piano, no drums")
        for hertz in (150, 6000)
    ]
    assert centroid(sounds[1]) > 1.1 * centroid(sounds[0])


@pytest.mark.parametrize(
    "reference", [None, np.zeros((48_000, 2), np.float32), np.zeros((0, 2), np.float32)]
)
def test_a_silent_reference_is_none(reference: Samples | None) -> None:
    assert brightness(reference, 48_000) == 0
    heard = take(Sources(reference=reference, reference_rate=48_000), seconds=2.0)
    assert np.array_equal(heard, take(seconds=2.0))


def test_a_reference_of_a_few_samples_is_heard() -> None:
    assert brightness(tone(6000, seconds=0.01), 44_100) > 0
