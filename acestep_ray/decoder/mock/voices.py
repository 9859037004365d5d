"""The band's pitched instruments."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from acestep_ray.decoder.mock.theory import hertz
from acestep_ray.decoder.mock.wavetable import Wave, gate, harmonics_of, look_up, seconds, table
from acestep_ray.timebase import SAMPLE_RATE

Spectrum = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Amplitudes of the harmonics, by number."""


def _fall(power: float) -> Spectrum:
    return lambda k: k**-power


def _pluck(place: float, power: float) -> Spectrum:
    """A string plucked at a fraction of its length: harmonics with a node there are missing."""
    return lambda k: np.abs(np.sin(np.pi * k * place)) * k**-power


def _bars(*amplitudes: float) -> Spectrum:
    """These amplitudes, set as with an organ's drawbars."""
    given = np.array(amplitudes)
    return lambda k: np.where(k <= len(given), given[(k.astype(int) - 1) % len(given)], 0.0)


@dataclass(frozen=True)
class Timbre:
    """An instrument. Times in seconds."""

    spectrum: Spectrum
    gain: float
    attack: float = 0.004
    release: float = 0.12
    decay: float | None = None
    """Time in which A4 falls by 60 dB; lower notes last longer. None: it is sustained."""
    mellow: float = 0.0
    """How much steeper the spectrum is after the attack, as a power of the harmonic."""
    detune: float = 0.0
    """Difference between the two channels, in cents."""
    vibrato: float = 0.0
    """Depth of the vibrato, in cents."""
    sparkle: float = field(default=0.15)
    """How long the bright attack lasts."""


TIMBRES: dict[str, Timbre] = {
    "piano": Timbre(_pluck(0.13, 1.5), 1.0, decay=2.6, mellow=1.2, detune=1.5, release=0.16),
    "epiano": Timbre(
        _bars(1, 0.22, 0.05, 0.18, 0, 0.02), 0.95, decay=2.4, mellow=1.5, detune=4, release=0.2
    ),
    "guitar": Timbre(_pluck(0.22, 1.4), 0.95, decay=1.7, mellow=1.3, release=0.1, attack=0.002),
    "crunch": Timbre(_pluck(0.3, 0.95), 0.55, release=0.06, mellow=0.4, detune=5),
    "synth": Timbre(_fall(1.35), 0.6, attack=0.008, release=0.14, mellow=0.7, detune=9),
    "organ": Timbre(_bars(1, 0.7, 0.22, 0.4, 0, 0.1, 0, 0.12), 0.6, attack=0.012, vibrato=6),
    "strings": Timbre(_fall(1.7), 0.65, attack=0.11, release=0.3, detune=7, vibrato=9),
    "warm": Timbre(_fall(2.2), 0.65, attack=0.25, release=0.55, detune=10),
    "flute": Timbre(_bars(1, 0.3, 0.08, 0.03), 0.75, attack=0.05, release=0.12, vibrato=14),
    "bell": Timbre(_bars(1, 0.25, 0, 0.3, 0, 0, 0, 0.06), 0.8, decay=2.8, release=0.5, mellow=1),
    "brass": Timbre(_fall(1.3), 0.55, attack=0.035, release=0.1, vibrato=8, mellow=0.3),
    "upright": Timbre(_bars(1, 0.55, 0.2, 0.08), 1.3, decay=2.2, mellow=0.8, release=0.08),
    "pick": Timbre(
        _bars(1, 0.5, 0.28, 0.15, 0.03, 0.05), 1.15, decay=4.0, mellow=1.0, release=0.06
    ),
    "reese": Timbre(_fall(1.8), 0.85, attack=0.006, release=0.06, detune=6),
    "sub": Timbre(_bars(1, 0.25, 0.06), 0.8, attack=0.01, release=0.08),
}
_HARMONICS = 48
_VIBRATO_HZ = 5.3


@lru_cache(maxsize=512)
def _tables(voice: str, pitch: int, tilt: float) -> tuple[Wave, Wave]:
    """The wave of the attack, and the softer wave after it."""
    timbre = TIMBRES[voice]
    k = harmonics_of(hertz(pitch), _HARMONICS)
    bright = timbre.spectrum(k) * k**tilt
    return table(bright), table(bright * k**-timbre.mellow)


def play(voice: str, pitch: int, samples: int, tilt: float) -> Wave:
    """One note held for ``samples`` and then released; [1 or 2 channels, samples and release].

    ``tilt`` brightens (above 0) or darkens the instrument, as a power of the harmonic.
    """
    timbre = TIMBRES[voice]
    frequency = hertz(pitch)
    release = int(timbre.release * SAMPLE_RATE)
    t = seconds(samples + release)
    cycles = np.arange(len(t), dtype=np.float64) * (frequency / SAMPLE_RATE)
    if timbre.vibrato:
        depth = frequency * (2 ** (timbre.vibrato / 1200) - 1) / (2 * np.pi * _VIBRATO_HZ)
        cycles += np.sin(t * np.float32(2 * np.pi * _VIBRATO_HZ)) * np.float32(depth)
    bright, dull = _tables(voice, pitch, tilt)
    spark = np.exp(t * np.float32(-1 / timbre.sparkle)) if timbre.mellow else None
    shape = gate(len(t), int(timbre.attack * SAMPLE_RATE), release)
    if timbre.decay is not None:
        # A string an octave lower sounds 1.5 times as long.
        ring = timbre.decay * 1.5 ** ((69 - pitch) / 12)
        shape *= np.exp(t * np.float32(-6.9 / ring))
    shape *= np.float32(timbre.gain)
    half = timbre.detune / 2400
    ears = (cycles,) if not half else (cycles * 2**-half, cycles * 2**half)
    wave = np.empty((len(ears), len(t)), dtype=np.float32)
    for channel, place in enumerate(ears):
        heard = look_up(dull, place)
        if spark is not None:
            extra = look_up(bright, place)
            extra -= heard
            extra *= spark
            heard += extra
        np.multiply(heard, shape, out=wave[channel])
    return wave
