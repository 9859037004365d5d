"""When lines are sung, and how clearly, against a plain writing of the formulas."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from acestep_ray.decoder.lyric_alignment import (
    SungLine,
    alignment_score,
    best_path,
    lrc_text,
    salience,
    sung_lines,
)

Numbers = NDArray[np.float64]
LYRICS = ("[", "verse", "]\n", "Rain", " on", " the", " roof", "\n", "all", " night")
LAST_FRAMES = (2, 4, 6, 15, 19, 24, 30, 32, 45, 60)
"""Until when each token is sung."""


def attention(heads: int = 3, seed: int = 0) -> Numbers:
    """Heads that look at one token after the other, with some noise."""
    random = np.random.default_rng(seed)
    found = random.uniform(0, 0.05, (heads, len(LYRICS), LAST_FRAMES[-1]))
    begin = 0
    for token, end in enumerate(LAST_FRAMES):
        found[:, token, begin:end] += 0.8
        begin = end
    return found


def plain_salience(a: Numbers) -> Numbers:
    heads = []
    for one in a:
        rows = np.array([np.exp(row) / np.exp(row).sum() for row in one])
        columns = np.array([np.exp(column) / np.exp(column).sum() for column in one.T]).T
        p = rows * columns
        p = np.array([np.clip(row - 2 * np.median(row), 0, None) for row in p])
        p = np.array([np.clip(column - 2 * np.median(column), 0, None) for column in p.T]).T
        heads.append(p**2)
    stack = np.array(heads)
    found: Numbers = np.mean([(p - stack.mean()) / (stack.std() + 1e-8) for p in stack], axis=0)
    return found


def plain_path_worth(worth: Numbers) -> float:
    """Of the best way through, by trying all that lead to each cell."""
    best = np.full(worth.shape, -math.inf)
    for i, j in itertools.product(*map(range, worth.shape)):
        before = [
            best[k, m] for k, m in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if k >= 0 and m >= 0
        ]
        best[i, j] = worth[i, j] + (max(before) if before else 0)
    return float(best[-1, -1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (5, 9), (12, 4)])
def test_the_path_is_the_best_one(shape: tuple[int, int]) -> None:
    worth = np.random.default_rng(sum(shape)).normal(size=shape)
    path = best_path(worth)
    assert tuple(path[0]) == (0, 0) and tuple(path[-1]) == (shape[0] - 1, shape[1] - 1)
    steps = np.diff(path, axis=0)
    assert all(tuple(step) in ((1, 1), (0, 1), (1, 0)) for step in steps)
    assert worth[path[:, 0], path[:, 1]].sum() == pytest.approx(plain_path_worth(worth))


def test_what_stands_out_is_by_the_formula() -> None:
    np.testing.assert_allclose(salience(attention()), plain_salience(attention()), atol=1e-9)


def test_lines_begin_where_their_first_token_is_heard() -> None:
    lines = sung_lines(attention(), LYRICS, seconds=4.8)
    assert [line.text for line in lines] == ["[verse]", "Rain on the roof", "all night"]
    assert [line.seconds for line in lines] == pytest.approx([0.0, 6 * 0.08, 32 * 0.08])


def test_the_text_of_an_lrc_file() -> None:
    lines = (SungLine(0, "[verse]"), SungLine(59.999, "Rain"), SungLine(185.125, "night"))
    assert lrc_text(lines) == "[00:00.00][verse]\n[01:00.00]Rain\n[03:05.12]night"


def plain_score(a: Numbers) -> float:
    energy = a.mean(axis=0)
    energy = (energy - energy.min()) / (energy.max() - energy.min())
    words = [3, 4, 5, 6, 7, 8, 9]
    coverage = sum(energy[row].max() > 0.1 for row in words) / len(words)
    centres = []
    for row in words:
        weights = [value if value > 0.01 else 0.0 for value in energy[row]]
        centres.append(sum(w * at for at, w in enumerate(weights)) / sum(weights))
    kept = [after - before >= -9 for before, after in itertools.pairwise(centres)]
    path = [(token, frame) for token, frame in best_path(energy**2) if token in words]
    confidence = sum(energy[token, frame] for token, frame in path) / len(path)
    score = coverage**2 * (sum(kept) / len(kept)) ** 2 * confidence
    return float(score)


@pytest.mark.parametrize("seed", range(3))
def test_the_score_is_by_the_formula(seed: int) -> None:
    clear = attention(seed=seed)
    assert alignment_score(clear, LYRICS) == pytest.approx(plain_score(clear), abs=1e-6)
    mixed = clear[:, [8, 9, 2, 3, 7, 6, 5, 4, 0, 1]]
    assert alignment_score(mixed, LYRICS) == pytest.approx(plain_score(mixed), abs=1e-6)
    assert alignment_score(mixed, LYRICS) < alignment_score(clear, LYRICS)


def test_lyrics_of_tags_alone_have_no_score() -> None:
    assert alignment_score(attention(), ("[", "a", "b", "c", "d", "e", "f", "g", "h", "]")) == 0
