"""Tempo, key and metre of a plan: from the caption; what it does not contain is drawn."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from acestep_ray.caption_words import read_caption

T = TypeVar("T")

_TONICS = {
    "major": ("C", "G", "D", "A", "E", "F", "Bb", "Eb"),
    "minor": ("A", "E", "B", "F#", "C#", "D", "G", "C"),
}


def pick(options: Sequence[T], rng: np.random.Generator) -> T:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


def bpm_of(caption: str, rng: np.random.Generator) -> int:
    """Beats per minute: a number in the caption, else one from the range that suits its words."""
    reading = read_caption(caption)
    if reading.bpm is not None:
        return reading.bpm
    low, high = reading.tempo
    return int(rng.integers(low, high + 1))


def keyscale_of(caption: str, rng: np.random.Generator) -> str:
    """A key named in the caption, else a usual key of its mode."""
    reading = read_caption(caption)
    if reading.key:
        return reading.key
    if reading.minor is None:
        mode = pick(("major", "minor"), rng)
    else:
        mode = "minor" if reading.minor else "major"
    return f"{pick(_TONICS[mode], rng)} {mode}"


def time_signature_of(caption: str) -> str:
    """A metre named in the caption ("3/4", "waltz"), else 4."""
    return read_caption(caption).metre or "4"
