"""Bring audio in memory to its final level."""

import math

import numpy as np

from acestep_ray.timebase import Samples

PEAK = 10 ** (-1 / 20)
"""-1 dBFS, 0.891251: the peak of a finished take, as the model's authors set it."""

_SILENCE = 1e-5  # -100 dBFS; anything quieter is not music and stays as it is


def peak_of(samples: Samples) -> float:
    """The largest absolute value in ``samples``, of any shape; 0 if there are none.

    Raises ValueError if a sample is infinite or not a number.
    """
    if samples.size == 0:
        return 0.0
    # Two passes, and no array of absolute values: a long take has 200 MB.
    peak = float(max(np.max(samples), -np.min(samples)))
    if not math.isfinite(peak):
        raise ValueError("the audio holds samples that are no finite numbers")
    return abs(peak)


def normalise_peak(samples: Samples, peak: float = PEAK) -> None:
    """Scale ``samples``, in place, so that their largest absolute value is ``peak``.

    Silence (below -100 dBFS) stays as it is. Raises ValueError as ``peak_of`` does.
    """
    now = peak_of(samples)
    if now >= _SILENCE:
        samples *= np.float32(peak / now)


def limit_peak(samples: Samples) -> None:
    """Divide ``samples``, in place, by their peak if it is above 1, so that nothing clips.

    Raises ValueError as ``peak_of`` does.
    """
    now = peak_of(samples)
    if now > 1:
        samples /= np.float32(now)
