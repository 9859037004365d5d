"""Melodies: when notes begin, how long they are, and which steps of the scale they take."""

from dataclasses import dataclass

import numpy as np

from acestep_ray.decoder.mock.theory import nearest_tone

# How a melody moves: mostly by steps, rarely by leaps.
_MOVES = np.array((-3, -2, -1, 0, 1, 2, 3))
_WEIGHTS = np.array((0.05, 0.13, 0.27, 0.1, 0.27, 0.13, 0.05))


@dataclass(frozen=True)
class Onset:
    """When a note of a bar begins and how long it is, in beats."""

    beat: float
    length: float


def rhythm(rng: np.random.Generator, beats: int, grid: float, density: float) -> tuple[Onset, ...]:
    """A bar's rhythm on a grid of ``grid`` beats; always a note on the first beat.

    ``density`` 0 to 1: from long notes and rests to a note at almost every place of the grid.
    """
    onsets: list[Onset] = []
    at = 0.0
    while at < beats:
        short = rng.random() < density
        length = grid * int(rng.integers(1, 3) if short else rng.integers(2, 5))
        # Long notes begin on the beat, otherwise the pulse is lost.
        length = length if at % 1 == 0 else min(length, 1 - at % 1)
        length = min(length, beats - at)
        if at == 0 or rng.random() < 0.55 + 0.4 * density:
            onsets.append(Onset(at, length))
        at += length
    return tuple(onsets)


def steps(
    rng: np.random.Generator, onsets: tuple[Onset, ...], degree: int, low: int
) -> tuple[int, ...]:
    """Scale steps for a bar's notes, within ten steps from ``low``, over a chord.

    Notes on the beat are notes of the chord; the others are free, as passing notes.
    """
    at = nearest_tone(degree, low + int(rng.integers(2, 8)))
    taken: list[int] = []
    for onset in onsets:
        if taken:
            at += int(rng.choice(_MOVES, p=_WEIGHTS))
        at = low + 1 if at < low else low + 8 if at > low + 9 else at
        if onset.beat % 1 == 0:
            at = nearest_tone(degree, at)
        taken.append(at)
    return tuple(taken)


def setting(rng: np.random.Generator, notes: int, beats: int) -> tuple[Onset, ...]:
    """When a line of ``notes`` syllables is sung in ``beats`` beats.

    On the coarsest grid (beats, halves, quarters) that has enough places, with the last beat free
    for breathing and the last syllable held; a line too long for that is sung evenly.
    """
    room = max(1.0, beats - 1.0)
    part = next((part for part in (1, 2, 4) if notes <= room * part), None)
    if part is None:
        each = room / notes
        return tuple(Onset(number * each, each) for number in range(notes))
    places = int(room * part)
    # Unused places become rests: the line's own rhythm. The first syllable stays on the first beat.
    spare = min(places - notes, notes // 2)
    kept = np.sort(rng.choice(np.arange(1, notes + spare), notes - 1, replace=False))
    starts = [0.0, *(float(place) / part for place in kept)]
    ends = [*starts[1:], min(room, starts[-1] + 2.0)]
    return tuple(
        Onset(start, min(end - start, 2.0)) for start, end in zip(starts, ends, strict=True)
    )
