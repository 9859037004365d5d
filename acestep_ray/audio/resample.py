"""Change the sampling rate or the number of channels of audio in memory."""

import numpy as np
import soxr

from acestep_ray.timebase import Samples


def resample(samples: Samples, rate: int, to: int) -> Samples:
    """``samples`` [n, channels] at ``rate`` Hz, as float32 [m, channels] at ``to`` Hz.

    soxr's HQ recipe (linear phase, 20 bits); m is n * to / rate, rounded. If the rates are equal,
    the samples are returned unchanged: the same array if it is already float32.
    """
    if rate == to or samples.shape[0] == 0:
        return np.asarray(samples, dtype=np.float32)
    # soxr reads its input in C order, and returns the type of its input.
    dense = np.ascontiguousarray(samples, dtype=np.float32)
    return np.asarray(soxr.resample(dense, rate, to, quality="HQ"), dtype=np.float32)


def to_stereo(samples: Samples) -> Samples:
    """``samples`` [n, channels] as float32 [n, 2]: mono doubled, otherwise the first two channels.

    The model's authors do the same with a source. Nothing is mixed: other channels are lost.
    """
    if samples.shape[1] == 1:
        return np.repeat(samples, 2, axis=1).astype(np.float32, copy=False)
    return np.ascontiguousarray(samples[:, :2], dtype=np.float32)
