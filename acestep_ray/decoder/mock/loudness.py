"""How loud audio is over time, and how to make one piece as loud as another."""

import numpy as np
from numpy.typing import NDArray

from acestep_ray.timebase import SAMPLES_PER_FRAME, Samples

Contour = NDArray[np.float64]
"""RMS per latent frame (40 ms), [frames]."""

_SMOOTH = 13  # frames, half a second: phrases and swells, not single notes
_BLOCK = 500  # frames processed at a time
_LOUDEST = 8.0


def rms(samples: Samples) -> float:
    """Root mean square over all channels; 0 if there are no samples."""
    block = SAMPLES_PER_FRAME * _BLOCK
    total = sum(
        float(np.square(samples[at : at + block], dtype=np.float64).sum())
        for at in range(0, len(samples), block)
    )
    return float(np.sqrt(total / max(1, samples.size)))


def contour(samples: Samples) -> Contour:
    """The loudness contour of whole frames: RMS per frame, smoothed over half a second."""
    frames = len(samples) // SAMPLES_PER_FRAME
    power = np.array(
        [
            float(np.square(samples[at * SAMPLES_PER_FRAME : (at + 1) * SAMPLES_PER_FRAME]).mean())
            for at in range(frames)
        ]
    )
    window = np.hanning(_SMOOTH + 2)[1:-1]
    weight = _smooth(np.ones(frames), window)
    return np.sqrt(_smooth(power, window) / weight)


def follow(music: Samples, source: Contour, strength: float) -> None:
    """Give ``music`` the loudness contour of a source, in place.

    Both have the same number of frames. ``strength`` 1 follows it fully, 0 leaves the music as it
    is; for values between, the gain is between. Only the contour's shape counts, not its level.
    """
    own = contour(music)
    if len(own) == 0 or not own.any():
        return
    own /= np.sqrt(np.mean(own * own))
    level = float(np.sqrt(np.mean(source * source)))
    asked = source / level if level else source
    # Where the music itself is silent, there is nothing to make louder.
    gain = 1 - strength + strength * np.minimum(asked / np.maximum(own, 0.05), _LOUDEST)
    amplify(music, gain)


def amplify(music: Samples, gain: Contour) -> None:
    """Scale ``music``, in place, by one gain per frame, interpolated between frames."""
    middles = (np.arange(len(gain)) + 0.5) * SAMPLES_PER_FRAME
    for at in range(0, len(music), SAMPLES_PER_FRAME * _BLOCK):
        block = music[at : at + SAMPLES_PER_FRAME * _BLOCK]
        places = np.arange(at, at + len(block))
        block *= np.interp(places, middles, gain).astype(np.float32)[:, np.newaxis]


def _smooth(values: Contour, window: NDArray[np.float64]) -> Contour:
    """Convolve; the result has the length of ``values`` even if the window is longer."""
    half = len(window) // 2
    return np.convolve(values, window)[half : half + len(values)]
