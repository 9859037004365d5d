"""How bright the mock's instruments are: as those of a reference, and as adapters make them."""

import math
from collections.abc import Sequence

import numpy as np

from acestep_ray.decoder.mock.seeding import digest
from acestep_ray.decoder.protocol import AdapterUse
from acestep_ray.timebase import Samples

_WINDOW = 4096
_SECONDS = 30
_SILENT = 1e-4  # RMS, -80 dBFS
_NEUTRAL_HZ = 1200.0


def brightness(samples: Samples | None, rate: int) -> float:
    """Tilt for the instruments' spectra, -0.5 (dark) to 0.5 (bright), from a reference.

    ``samples`` [n, channels] at ``rate`` Hz. From the spectral centroid of its first 30 s, in steps
    of 0.05. 0 for none and for silence, because the model marks a missing reference with silence.
    """
    if samples is None or len(samples) == 0:
        return 0.0
    mono = samples[: _SECONDS * rate].mean(axis=1)
    if float(np.sqrt(np.mean(np.square(mono)))) < _SILENT:
        return 0.0
    mono = np.pad(mono, (0, -len(mono) % _WINDOW))
    spectra = np.fft.rfft(mono.reshape(-1, _WINDOW) * np.hanning(_WINDOW).astype(np.float32))
    power = np.square(np.abs(spectra)).sum(axis=0)
    centroid = float((np.fft.rfftfreq(_WINDOW, 1 / rate) * power).sum() / power.sum())
    tilt = 0.25 * math.log2(max(centroid, 1.0) / _NEUTRAL_HZ)
    return round(20 * min(0.5, max(-0.5, tilt))) / 20


def tilted(tilt: float, adapters: Sequence[AdapterUse]) -> float:
    """A tilt as adapters change it: each makes the sound darker or brighter, as its name decides,
    by up to 0.4 at full scale. Their files are not read."""
    for use in adapters:
        direction = 1 if digest("adapter", use.name) % 2 else -1
        amount = 0.2 + digest("amount", use.name) % 5 / 20
        tilt += direction * amount * use.scale
    return min(0.5, max(-0.5, tilt))
