"""A periodic wave as a table: any spectrum of harmonics costs one table access per sample."""

import numpy as np
from numpy.typing import NDArray

from acestep_ray.timebase import SAMPLE_RATE

Wave = NDArray[np.float32]
"""Sound during its synthesis: [channels, samples]; one channel if both are the same."""

SIZE = 2048
_HIGHEST = 11_000.0  # Hz; harmonics above it are left out, to avoid aliasing


def harmonics_of(frequency: float, most: int) -> NDArray[np.float64]:
    """Numbers 1, 2, ... of the harmonics that fit under the highest frequency; at least one."""
    return np.arange(1, max(1, min(most, int(_HIGHEST / frequency))) + 1, dtype=np.float64)


def table(amplitudes: NDArray[np.float64]) -> Wave:
    """One period of sines with these amplitudes for harmonics 1, 2, ..., at an RMS of 1.

    [2, SIZE]: the values, and the differences to the next values, for linear interpolation.
    """
    spectrum = np.zeros(SIZE // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(amplitudes) + 1] = -0.5j * SIZE * amplitudes
    period = np.fft.irfft(spectrum, SIZE)
    period /= np.sqrt(np.mean(period * period))
    return np.stack([period, np.roll(period, -1) - period]).astype(np.float32)


def look_up(wave: Wave, cycles: NDArray[np.float64]) -> Wave:
    """The table's values at positions counted in periods; the shape is that of ``cycles``."""
    place = np.mod(cycles, 1.0)
    place *= SIZE
    index = place.astype(np.int32)
    place -= index
    index &= SIZE - 1  # a position just below a whole period rounds up to the next
    values: Wave = wave[1].take(index)
    values *= place.astype(np.float32)
    values += wave[0].take(index)
    return values


def seconds(samples: int) -> Wave:
    """The time of each sample, [samples]."""
    return np.arange(samples, dtype=np.float32) * np.float32(1 / SAMPLE_RATE)


def gate(samples: int, attack: int, release: int) -> Wave:
    """Rises in ``attack`` samples, stays, and falls in the last ``release``; [samples], 0 to 1."""
    shape = np.ones(samples, dtype=np.float32)
    up, down = min(attack, samples // 2), min(release, samples - samples // 2)
    if up:
        shape[:up] = _rise(up)
    if down:
        shape[-down:] *= _rise(down)[::-1]
    return shape


def _rise(samples: int) -> Wave:
    """From 0 to 1 along a sine."""
    ramp = np.arange(samples, dtype=np.float32) * np.float32(np.pi / 2 / samples)
    rise: Wave = np.sin(ramp)
    return rise
