"""When lyrics are sung, and how well, from the model's attention to them. Numpy only.

Attention is an array [heads, tokens, frames]: how much of a frame's attention a token of the lyrics
gets, from the heads that follow the singing. Formulas and constants are those of upstream's
``dit_alignment`` and ``dit_score``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_TINY = 1e-8
_HEARD = 0.1
"""The least energy of a token that counts as sung."""
_COUNTED = 0.01
"""The least energy of a frame that counts for where a token is."""
_BACK = 9
"""Frames by which a token may lie before the one in front of it."""


@dataclass(frozen=True)
class SungLine:
    """A line of the lyrics."""

    seconds: float
    """When it begins."""
    text: str


def salience(attention: Numbers) -> Numbers:
    """What stands out of the attention, [tokens, frames]: each token beside the others and each
    frame beside the others, without what is usual for both, compared over all heads."""
    found = _softmax(attention, -1) * _softmax(attention, -2)
    found = np.maximum(found - 2 * np.median(found, axis=-1, keepdims=True), 0)
    found = np.maximum(found - 2 * np.median(found, axis=-2, keepdims=True), 0) ** 2
    mean: Numbers = ((found - found.mean()) / (found.std() + _TINY)).mean(axis=0)
    return mean


def best_path(worth: Numbers) -> NDArray[np.int64]:
    """The way through [tokens, frames] from the first of both to the last of both that is worth the
    most, as pairs (token, frame): each step goes on by a token, a frame, or both (dynamic time
    warping). Of ways that are worth the same it takes both, else a frame."""
    tokens, frames = worth.shape
    total = np.full((tokens + 1, frames + 1), -np.inf)
    total[0, 0] = 0
    # Along the diagonals, on which no cell depends on another.
    for diagonal in range(tokens + frames - 1):
        token = np.arange(max(0, diagonal - frames + 1), min(tokens, diagonal + 1))
        frame = diagonal - token
        before = np.maximum(total[token, frame], total[token + 1, frame])
        before = np.maximum(before, total[token, frame + 1])
        total[token + 1, frame + 1] = before + worth[token, frame]
    path = []
    token, frame = tokens, frames
    while token and frame:
        path.append((token - 1, frame - 1))
        both, same_token = total[token - 1, frame - 1], total[token, frame - 1]
        same_frame = total[token - 1, frame]
        if both >= same_token and both >= same_frame:
            token, frame = token - 1, frame - 1
        elif same_token >= same_frame:
            frame -= 1
        else:
            token -= 1
    return np.array(path[::-1])


def sung_lines(attention: Numbers, tokens: Sequence[str], seconds: float) -> tuple[SungLine, ...]:
    """The lines of the lyrics, section tags too, with the times at which their first tokens begin.

    ``tokens``: the texts of the tokens; a token that holds a line break ends its line. ``seconds``:
    length of the song.
    """
    path = best_path(salience(attention))
    first = np.zeros(len(tokens))
    for token, frame in path[::-1]:
        first[token] = frame
    step = seconds / attention.shape[-1]
    lines, begin = [], 0
    for index, text in enumerate(tokens):
        if "\n" in text or index == len(tokens) - 1:
            line = "".join(tokens[begin : index + 1]).strip()
            if line:
                lines.append(SungLine(float(first[begin] * step), line))
            begin = index + 1
    return tuple(lines)


def lrc_text(lines: Sequence[SungLine]) -> str:
    """The lines in the LRC format: ``[mm:ss.xx]text``."""
    written = []
    for line in lines:
        minutes, hundredths = divmod(round(line.seconds * 100), 6000)
        written.append(f"[{minutes:02d}:{hundredths // 100:02d}.{hundredths % 100:02d}]{line.text}")
    return "\n".join(written)


def alignment_score(attention: Numbers, tokens: Sequence[str]) -> float:
    """How clearly the lyrics are sung one after another, 0 to 1: coverage² · monotonicity² ·
    confidence. Section tags do not count; 0 if there is nothing else."""
    energy = attention.mean(axis=0)
    energy = (energy - energy.min()) / (energy.max() - energy.min() + _TINY)
    sung = np.flatnonzero(~_in_tags(tokens))
    if not len(sung):
        return 0.0
    rows = energy[sung]
    coverage = float(np.mean(rows.max(axis=-1) > _HEARD))
    counted = np.where(rows > _COUNTED, rows, 0)
    centres = (counted * np.arange(energy.shape[-1])).sum(axis=-1) / (counted.sum(axis=-1) + _TINY)
    monotonicity = float(np.mean(np.diff(centres) >= -_BACK)) if len(sung) > 1 else 1.0
    path = best_path(energy**2)
    on_path = path[np.isin(path[:, 0], sung)]
    confidence = float(energy[on_path[:, 0], on_path[:, 1]].mean())
    return float(np.clip(coverage**2 * monotonicity**2 * confidence, 0, 1))


def _in_tags(tokens: Sequence[str]) -> NDArray[np.bool_]:
    """Which tokens are, at least in part, between brackets."""
    found, depth = [], 0
    for text in tokens:
        inside = depth > 0 or "[" in text
        depth = max(0, depth + text.count("[") - text.count("]"))
        found.append(inside)
    return np.array(found, dtype=bool)


def _softmax(values: Numbers, axis: int) -> Numbers:
    weights = np.exp(values - values.max(axis=axis, keepdims=True))
    shares: Numbers = weights / weights.sum(axis=axis, keepdims=True)
    return shares
