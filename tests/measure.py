"""Measures what a listener perceives in audio: the tempo, the metre, the key.

All take samples [n, channels] or [n] and their rate, raw or decoded from a file.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_HOP_SECONDS = 0.005
_WINDOW_SECONDS = 0.023
_SPAN_SECONDS = 12.0  # of music in which a pulse is searched


def _mono(samples: NDArray[np.float32]) -> Floats:
    audio = samples.astype(np.float64)
    return audio if audio.ndim == 1 else audio.mean(axis=1)


def _spectra(audio: Floats, size: int, hop: float) -> Floats:
    """Magnitudes of windows of ``size`` samples every ``hop`` samples, [windows, frequencies]."""
    padded = np.pad(audio, (size // 2, size))
    starts = np.round(np.arange(0, len(audio), hop)).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[starts]
    return np.asarray(np.abs(np.fft.rfft(windows * np.hanning(size), axis=1)), dtype=np.float64)


def onsets(samples: NDArray[np.float32], rate: int) -> Floats:
    """Onset strength every 5 ms: how much the log spectrum rises, summed over frequencies."""
    spectra = _spectra(_mono(samples), round(rate * _WINDOW_SECONDS), rate * _HOP_SECONDS)
    compressed = np.log1p(100 * spectra / spectra.max())
    return _rises(compressed)


def thumps(samples: NDArray[np.float32], rate: int) -> Floats:
    """How much the sound below 150 Hz, where kick and bass are, rises in each 5 ms."""
    audio, few = _mono(samples), rate // 3000
    # Means of a few samples: 3 kHz is enough for frequencies below 150 Hz.
    low, low_rate = audio[: len(audio) // few * few].reshape(-1, few).mean(axis=1), rate / few
    size = round(low_rate * 2 * _WINDOW_SECONDS)
    spectra = _spectra(low, size, low_rate * _HOP_SECONDS)
    return _rises(spectra[:, np.fft.rfftfreq(size, 1 / low_rate) < 150])


def _rises(spectra: Floats) -> Floats:
    rises = np.maximum(np.diff(spectra, axis=0, prepend=spectra[:1]), 0).sum(axis=1)
    smooth = np.hanning(9)[1:-1]
    return np.convolve(rises, smooth / smooth.sum(), mode="same")


def autocorrelation(strength: Floats) -> Floats:
    """How similar onset strengths are to themselves later, for each lag of 5 ms; 1 at lag 0."""
    centred = strength - strength.mean()
    spectrum = np.fft.rfft(centred, 2 * len(centred))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: len(centred)]
    # The longer a lag is, the fewer pairs it leaves.
    correlation /= correlation[0] * (1 - np.arange(len(centred)) / len(centred))
    return np.asarray(correlation, dtype=np.float64)


def grid_strength(correlation: Floats, bpm: float) -> float:
    """How well onsets repeat every beat at ``bpm``: 1 perfectly, about 0 not at all.

    Their autocorrelation at 1, 2, 3, ... beats, averaged. After many beats, a tempo that is
    slightly wrong is far from the grid.
    """
    beat = 60 / bpm / _HOP_SECONDS
    last = min(_SPAN_SECONDS / _HOP_SECONDS, 0.7 * len(correlation))
    lags = np.arange(1, int(last / beat) + 1) * beat
    return float(np.interp(lags, np.arange(len(correlation)), correlation).mean())


def tempo_near(correlation: Floats, bpm: float) -> float:
    """The tempo within 12 % of ``bpm`` whose grid fits the onsets best, to 0.1 %."""
    tempi = bpm * np.arange(0.88, 1.12, 0.001)
    return float(tempi[int(np.argmax([grid_strength(correlation, tempo) for tempo in tempi]))])


def on_grid(samples: NDArray[np.float32], rate: int, bpm: float) -> bool:
    """Whether the beats are at ``bpm``: the best tempo near it is within 1 %, and it is a real
    pulse.

    A grid 3 % off, to either side, must fit at most half as well.
    """
    correlation = autocorrelation(onsets(samples, rate))
    here = grid_strength(correlation, bpm)
    beside = max(grid_strength(correlation, bpm * 1.03), grid_strength(correlation, bpm / 1.03))
    near = abs(tempo_near(correlation, bpm) / bpm - 1) <= 0.01
    return near and here > 0.1 and beside <= here / 2


def beat_weights(samples: NDArray[np.float32], rate: int, bpm: float, beats: int) -> Floats:
    """How heavy each beat of a bar of ``beats`` is, [beats], 1 on average.

    From the thumps within 40 ms of each beat. The first beat is assumed to begin with the first
    sample.
    """
    low = thumps(samples, rate)
    beat = 60 / bpm / _HOP_SECONDS
    reach = round(0.04 / _HOP_SECONDS)
    bars = int(len(low) / beat) // beats
    weights = np.zeros(beats)
    for number in range(beats, bars * beats):  # what begins with the file has no rise before it
        at = round(number * beat)
        weights[number % beats] += low[at - reach : at + reach + 1].max()
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def accent(samples: NDArray[np.float32], rate: int, bpm: float, beats: int) -> float:
    """How much heavier the first of ``beats`` beats is than the heaviest of the others."""
    weights = beat_weights(samples, rate, bpm, beats)
    return float(weights[0] / weights[1:].max())


def chroma(samples: NDArray[np.float32], rate: int) -> Floats:
    """Share of each pitch class, C first, [12]; the sum is 1.

    From spectral peaks between 130 and 1200 Hz, where fundamentals are and drums are not; noise has
    no peaks of that height.
    """
    size = round(rate * 0.34)
    spectra = _spectra(_mono(samples), size, size // 2)
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    inner = spectra[:, 1:-1]
    peaks = (inner > spectra[:, :-2]) & (inner >= spectra[:, 2:])
    heard = np.where(peaks, inner, 0)
    band = (frequencies[1:-1] > 130) & (frequencies[1:-1] < 1200)
    heard, found = heard[:, band], frequencies[1:-1][band]
    heard = np.where(heard > 0.05 * heard.max(axis=1, keepdims=True), heard, 0)
    classes = np.round(69 + 12 * np.log2(found / 440)).astype(int) % 12
    shares = np.bincount(classes, weights=heard.sum(axis=0), minlength=12)
    total = shares.sum()
    return np.asarray(shares / total if total else shares, dtype=np.float64)


def share_of(shares: Floats, pitch_classes: Iterable[int]) -> float:
    """How much of a chroma is on these pitch classes."""
    return float(shares[sorted(pitch_classes)].sum())


C_MAJOR = frozenset({0, 2, 4, 5, 7, 9, 11})
F_SHARP_MINOR = frozenset({6, 8, 9, 11, 1, 2, 4})
