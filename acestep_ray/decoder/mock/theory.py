"""Keys, scales and chords: the pitches that a song may use."""

import re
from dataclasses import dataclass

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)  # natural: no pitch outside the key's own seven
_KEY = re.compile(r"\b([A-G])([#b♯♭]?) (major|minor)\b")

# Degrees of the scale, 0 is the tonic. No loop has the diminished triad (6 in major, 1 in minor).
PROGRESSIONS: dict[bool, tuple[tuple[int, ...], ...]] = {
    False: (
        (0, 4, 5, 3),
        (0, 5, 3, 4),
        (0, 3, 4, 4),
        (0, 3, 0, 4),
        (0, 2, 3, 4),
        (0, 4, 3, 3),
    ),
    True: (
        (0, 5, 2, 6),
        (0, 3, 4, 0),
        (0, 6, 5, 4),
        (0, 3, 5, 4),
        (0, 2, 5, 4),
        (0, 5, 3, 4),
    ),
}
"""Four-chord loops by ``minor``. All start on the tonic, so that the key can be recognised."""


@dataclass(frozen=True)
class Key:
    """A major or natural minor key."""

    tonic: int
    """Pitch class, 0 is C."""
    minor: bool

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The seven pitch classes of the scale."""
        return frozenset((self.tonic + step) % 12 for step in self._scale)

    @property
    def _scale(self) -> tuple[int, ...]:
        return _MINOR if self.minor else _MAJOR

    def pitch(self, step: int) -> int:
        """MIDI pitch of a scale step; step 0 is the tonic between G3 (55) and F#4 (66)."""
        octave, degree = divmod(step, 7)
        tonic = 60 + self.tonic - (12 if self.tonic > 6 else 0)
        return tonic + 12 * octave + self._scale[degree]


def find_key(text: str) -> Key | None:
    """The first key named in ``text`` ("F# minor", "B♭ major"), or None."""
    found = _KEY.search(text)
    if found is None:
        return None
    letter, accidental, mode = found.groups()
    return Key((_LETTERS[letter] + _ACCIDENTALS[accidental]) % 12, mode == "minor")


def hertz(pitch: float) -> float:
    """Frequency of a MIDI pitch, equal temperament, A4 (69) = 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


def triad(degree: int) -> tuple[int, int, int]:
    """Scale steps of the triad on a degree."""
    return degree, degree + 2, degree + 4


def voicing(degree: int, low: int) -> tuple[int, ...]:
    """The triad's three tones inside the octave that starts at step ``low``, rising.

    So successive chords share tones or move by one step.
    """
    return tuple(sorted(low + (step - low) % 7 for step in triad(degree)))


def nearest_tone(degree: int, step: int) -> int:
    """The tone of the triad that is nearest to ``step``; if there are two, the lower."""
    tones = {tone % 7 for tone in triad(degree)}
    return min(
        (near for near in range(step - 3, step + 4) if near % 7 in tones),
        key=lambda near: (abs(near - step), near),
    )
