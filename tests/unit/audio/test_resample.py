"""A source at the wrong rate plays at the wrong speed; a mono one must not crash the decoder."""

import numpy as np
import pytest

from acestep_ray.audio.resample import resample, to_stereo
from acestep_ray.timebase import Samples


def _tone(hertz: float, rate: int, seconds: float = 1.0, channels: int = 2) -> Samples:
    time = np.arange(int(rate * seconds)) / rate
    wave = 0.5 * np.sin(2 * np.pi * hertz * time)
    return np.stack([wave] * channels, axis=1).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000, 192_000])
def test_a_tone_keeps_its_pitch_its_level_and_its_length(rate: int) -> None:
    out = resample(_tone(440, rate), rate, 48_000)
    assert out.shape == (48_000, 2)
    assert out.dtype == np.float32
    middle = out[4_800:-4_800]
    wanted = _tone(440, 48_000)[4_800:-4_800]
    assert np.abs(middle - wanted).max() < 1e-3


def test_equal_rates_change_nothing() -> None:
    samples = _tone(440, 48_000)
    assert resample(samples, 48_000, 48_000) is samples


def test_what_is_above_half_the_rate_does_not_fold_down() -> None:
    out = resample(_tone(30_000, 96_000), 96_000, 48_000)
    assert np.abs(out[4_800:-4_800]).max() < 1e-4


def test_channels_are_kept_apart() -> None:
    left, right = _tone(440, 44_100, channels=1), _tone(660, 44_100, channels=1)
    both = resample(np.hstack([left, right]), 44_100, 48_000)
    assert np.array_equal(both[:, :1], resample(left, 44_100, 48_000))
    assert np.array_equal(both[:, 1:], resample(right, 44_100, 48_000))


def test_no_samples_and_any_memory_layout() -> None:
    assert resample(np.zeros((0, 2), np.float32), 44_100, 48_000).shape == (0, 2)
    columns = np.asfortranarray(_tone(440, 44_100))
    assert np.array_equal(
        resample(columns, 44_100, 48_000), resample(columns.copy("C"), 44_100, 48_000)
    )


def test_mono_is_doubled_and_surround_loses_the_rest() -> None:
    mono = _tone(440, 48_000, channels=1)
    stereo = to_stereo(mono)
    assert stereo.shape == (48_000, 2)
    assert np.array_equal(stereo[:, 0], mono[:, 0])
    assert np.array_equal(stereo[:, 1], mono[:, 0])
    six = np.arange(60, dtype=np.float32).reshape(10, 6)
    assert np.array_equal(to_stereo(six), six[:, :2])
    assert to_stereo(six).dtype == np.float32
