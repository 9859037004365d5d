"""The lead voice: vowels made from formants, with vibrato."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from acestep_ray.decoder.mock.lyrics import Syllable, Vowel
from acestep_ray.decoder.mock.seeding import generator
from acestep_ray.decoder.mock.theory import hertz
from acestep_ray.decoder.mock.wavetable import Wave, gate, harmonics_of, look_up, seconds, table
from acestep_ray.timebase import SAMPLE_RATE

# Centre in Hz, bandwidth in Hz and level of the first three formants of a woman's voice, from the
# usual phonetic tables.
_FORMANTS: dict[Vowel, tuple[tuple[float, float, float], ...]] = {
    "a": ((800, 90, 1.0), (1200, 110, 0.6), (2800, 150, 0.12)),
    "e": ((480, 80, 1.0), (1900, 120, 0.4), (2600, 150, 0.16)),
    "i": ((340, 70, 1.0), (2200, 130, 0.28), (2950, 160, 0.18)),
    "o": ((500, 80, 1.0), (850, 100, 0.55), (2750, 150, 0.08)),
    "u": ((360, 70, 1.0), (720, 90, 0.4), (2650, 150, 0.06)),
}
_DEEP = 0.86  # a longer throat has lower formants
_VIBRATO_HZ = 5.6
_VIBRATO_CENTS = 26.0
_GAIN = 1.0


@lru_cache(maxsize=512)
def _vowel(vowel: Vowel, pitch: int, deep: bool) -> Wave:
    """The table of a vowel: the glottis' falling spectrum, filtered by the formants."""
    frequency = hertz(pitch)
    k = harmonics_of(frequency, 40)
    heard: NDArray[np.float64] = np.full_like(k, 0.06)
    for centre, width, level in _FORMANTS[vowel]:
        # Wider than measured, so that a formant between two harmonics amplifies both.
        away = (k * frequency - centre * (_DEEP if deep else 1.0)) / (width + 0.35 * frequency)
        heard += level / (1 + away * away)
    return table(heard * k**-0.9)


@lru_cache(maxsize=1)
def _consonant() -> Wave:
    """A breath of 35 ms, [samples]."""
    noise = generator("consonant").standard_normal(int(0.035 * SAMPLE_RATE)).astype(np.float32)
    hiss = np.diff(noise, prepend=np.float32(0))
    return hiss * gate(len(hiss), len(hiss) // 3, len(hiss) // 2) * np.float32(0.16)


def sing(syllable: Syllable, pitch: int, samples: int, deep: bool) -> Wave:
    """One syllable on one note, [1, samples and release]."""
    frequency = hertz(pitch)
    release = int(0.09 * SAMPLE_RATE)
    t = seconds(samples + release)
    cycles = np.arange(len(t), dtype=np.float64) * (frequency / SAMPLE_RATE)
    # The pitch starts half a semitone lower and reaches the note in about a tenth of a second.
    cycles += (np.exp(t * np.float32(-1 / 0.04)) - 1) * np.float32(0.028 * frequency * 0.04)
    swell = np.clip((t - np.float32(0.18)) * np.float32(4), 0, 1)
    depth = frequency * (2 ** (_VIBRATO_CENTS / 1200) - 1) / (2 * np.pi * _VIBRATO_HZ)
    cycles += swell * np.sin(t * np.float32(2 * np.pi * _VIBRATO_HZ)) * np.float32(depth)
    wave = look_up(_vowel(syllable.vowel, pitch, deep), cycles)
    wave *= gate(len(t), int(0.03 * SAMPLE_RATE), release)
    if syllable.consonant:
        breath = _consonant()[: len(wave)]
        wave[: len(breath)] += breath
    wave *= np.float32(_GAIN)
    return wave[np.newaxis]
