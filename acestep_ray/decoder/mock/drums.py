"""The drum kit. Drums with a pitch are tuned to the key's tonic."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from acestep_ray.decoder.mock.seeding import generator
from acestep_ray.decoder.mock.theory import hertz
from acestep_ray.decoder.mock.wavetable import Wave, gate, seconds
from acestep_ray.timebase import SAMPLE_RATE


def _noise(label: str, length: float, low: float, high: float, fall: float) -> Wave:
    """Noise between two frequencies that decays with time constant ``fall``; stereo."""
    samples = int(length * SAMPLE_RATE)
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    # Second-order filter slopes, otherwise it sounds like a resonant filter.
    band = 1 / (1 + (low / np.maximum(frequency, 1)) ** 4) / (1 + (frequency / high) ** 4)
    rng = generator("drum", label)
    shape = np.exp(seconds(samples) * np.float32(-1 / fall))
    ears = [np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * band, samples) for _ in "lr"]
    # Mostly the same in both channels: a drum has one place.
    mixed = np.stack([0.8 * ears[0] + 0.4 * ears[1], 0.8 * ears[0] - 0.4 * ears[1]])
    mixed /= np.sqrt(np.mean(mixed * mixed))
    wave: Wave = mixed.astype(np.float32) * shape
    wave *= gate(samples, 24, samples // 8)
    return wave


def _tone(length: float, pitch: float, drop: float, fall: float) -> Wave:
    """A membrane: a sine that starts ``drop`` times higher and falls to the pitch; mono."""
    t = seconds(int(length * SAMPLE_RATE))
    frequency, settle = hertz(pitch), 0.016
    cycles = frequency * t + frequency * (drop - 1) * settle * (1 - np.exp(-t / settle))
    wave: Wave = np.sin(2 * np.pi * cycles).astype(np.float32) * np.exp(t * np.float32(-1 / fall))
    wave *= gate(len(wave), 48, len(wave) // 5)
    return wave[np.newaxis]


def _both(one: Wave, other: Wave) -> Wave:
    """Two sounds at once; the result is stereo and as long as the longer."""
    wave = np.zeros((2, max(one.shape[1], other.shape[1])), dtype=np.float32)
    wave[:, : one.shape[1]] += one
    wave[:, : other.shape[1]] += other
    return wave


def _low(tonic: int) -> float:
    """The tonic between C1 (24) and B1, the range of kicks, as a MIDI pitch: 33 to 62 Hz."""
    return 24.0 + tonic + (12 if tonic < 4 else 0)


@dataclass(frozen=True)
class _Kit:
    """The differences between drum kits."""

    fall: float
    """Time constant of the kick, seconds."""
    drop: float
    """How much higher the kick starts than it ends."""
    snare: tuple[float, float]
    """The snares' lowest frequency, Hz, and time constant, seconds."""
    hat: float
    """The hi-hat's lowest frequency, Hz."""


_KITS = (
    _Kit(fall=0.1, drop=3.0, snare=(900, 0.055), hat=7000),
    _Kit(fall=0.15, drop=2.2, snare=(600, 0.08), hat=6000),
    _Kit(fall=0.065, drop=3.6, snare=(1500, 0.04), hat=8500),
)
KITS = len(_KITS)

DRUMS: dict[str, Callable[[int, _Kit], Wave]] = {
    "kick": lambda tonic, kit: _both(
        _tone(0.05 + 2.5 * kit.fall, _low(tonic), kit.drop, kit.fall) * np.float32(1.2),
        _noise("click", 0.012, 1500, 7000, 0.004) * np.float32(0.25),
    ),
    "boom": lambda tonic, kit: _tone(0.9, _low(tonic) + 12, 1.5, 2.5 * kit.fall) * np.float32(1.1),
    "snare": lambda tonic, kit: _both(
        _noise("snare", 0.22, kit.snare[0], 8000, kit.snare[1]) * np.float32(0.5),
        _tone(0.14, _low(tonic) + 24, 1.12, 0.05) * np.float32(0.6),
    ),
    "clap": lambda _, kit: _noise("clap", 0.25, 1000, 5000, kit.snare[1]) * np.float32(0.55),
    "rim": lambda *_: _noise("rim", 0.05, 1700, 5200, 0.012) * np.float32(0.6),
    "hat": lambda _, kit: _noise("hat", 0.09, kit.hat, 15000, 0.02) * np.float32(0.3),
    "open": lambda _, kit: _noise("open", 0.3, kit.hat, 15000, 0.09) * np.float32(0.26),
    "shaker": lambda _, kit: _noise("shaker", 0.1, 0.6 * kit.hat, 12000, 0.028) * np.float32(0.3),
    "ride": lambda _, kit: _noise("ride", 0.5, 0.7 * kit.hat, 14000, 0.11) * np.float32(0.22),
    "crash": lambda *_: _noise("crash", 1.8, 3500, 15000, 0.45) * np.float32(0.3),
    "tom": lambda tonic, _: _tone(0.35, _low(tonic) + 19, 1.3, 0.09) * np.float32(0.9),
}


@lru_cache(maxsize=256)
def strike(drum: str, tonic: int, kit: int) -> Wave:
    """One stroke, [1 or 2 channels, samples]. Read only."""
    wave = DRUMS[drum](tonic, _KITS[kit])
    wave.setflags(write=False)
    return wave
