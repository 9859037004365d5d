"""Where a repaint's window is, and how new music is inserted into the source."""

import numpy as np
import pytest

from acestep_ray.decoder.protocol import DecoderError, RepaintMode
from acestep_ray.decoder.repaint_style import RepaintStyle
from acestep_ray.decoder.window import Window
from acestep_ray.timebase import SAMPLES_PER_FRAME, Samples
from tests.unit.decoder.mock.takes import request

SECOND = 48_000
CROSSFADE = 1440
SOURCE = 5 * SECOND + 700


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        # lead, begin, end, first, last, frames
        (1.0, 2.0, (0, 48_000, 96_000, 25, 50, 125)),
        (0.0, None, (0, 0, SOURCE, 0, 125, 125)),
        (1.03, 2.99, (0, 49_440, 143_520, 25, 74, 125)),
        (1.16, 1.2, (0, 55_680, 57_600, 29, 30, 125)),
        (1.0, 1.01, (0, 48_000, 48_480, 25, 26, 125)),
        (-2.0, 1.0, (96_000, 0, 144_000, 0, 75, 175)),
        (4.0, 8.0, (0, 192_000, 384_000, 100, 200, 200)),
        (-1.0, 6.0, (48_000, 0, 336_000, 0, 175, 175)),
        (4.99, None, (0, 239_520, SOURCE, 124, 125, 125)),
        # All of what is before the source is painted, also the part of a frame.
        (-2.0, 0.0, (96_000, 0, 96_000, 0, 50, 175)),
        (-2.01, 0.0, (96_480, 0, 96_480, 0, 51, 175)),
        (-2.01, 0.001, (96_480, 0, 96_528, 0, 51, 175)),
    ],
)
def test_window(start: float, end: float | None, expected: tuple[int, ...]) -> None:
    window = Window.of(start, end, SOURCE)
    found = (window.lead, window.begin, window.end, window.first, window.last, window.frames)
    assert found == expected


@pytest.mark.parametrize(("start", "end"), [(5.1, None), (2.0, 2.0), (2.0, 1.0), (5.005, None)])
def test_a_window_with_nothing_in_it_is_an_error(start: float, end: float | None) -> None:
    with pytest.raises(DecoderError, match="window is empty"):
        Window.of(start, end, SOURCE)


@pytest.mark.parametrize(("start", "end"), [(-3.0, -1.0), (6.0, 8.0)])
def test_a_window_beside_the_source_is_an_error(start: float, end: float) -> None:
    with pytest.raises(DecoderError, match="does not touch the source"):
        Window.of(start, end, SOURCE)


def level(value: float, samples: int) -> Samples:
    return np.full((samples, 2), value, dtype=np.float32)


def music_of(window: Window, value: float) -> Samples:
    return level(value, window.music_end - window.begin)


def test_splice_fades_within_the_window_alone() -> None:
    window = Window.of(1.03, 2.99, SOURCE)
    whole = level(0.5, SOURCE)
    out = window.splice(whole, music_of(window, -0.5), CROSSFADE)
    assert out.shape == (125 * SAMPLES_PER_FRAME, 2)
    # The model's last whole frame ends before the window does.
    begin, end = window.begin, window.last * SAMPLES_PER_FRAME
    assert window.music_end == end
    assert np.all(out[:begin] == 0.5)
    assert np.all(out[end:] == 0.5)
    assert np.all(out[begin + CROSSFADE : end - CROSSFADE] == -0.5)
    steps = np.abs(np.diff(out[:, 0]))
    assert steps.max() < 2 / CROSSFADE, "there is a click"
    assert np.all(whole == 0.5), "the source itself was changed"


def test_nothing_is_faded_where_nothing_of_the_source_stays() -> None:
    window = Window.of(-1.0, 6.0, SOURCE)
    assert np.all(window.splice(level(0.5, SOURCE), music_of(window, 0.25), CROSSFADE) == 0.25)


@pytest.mark.parametrize(("start", "end"), [(5.01, 7.0), (-2.0, 0.0), (-2.01, 0.001)])
def test_a_fade_goes_on_beyond_the_source(start: float, end: float) -> None:
    """The source has 222 samples after 5.01 s, none before 0, and 48 after it."""
    window = Window.of(start, end, SOURCE)
    out = window.splice(level(0.5, SOURCE), music_of(window, -0.5), CROSSFADE)
    kept = slice(0, window.begin) if start > 0 else slice(window.music_end, None)
    assert np.all(out[kept] == 0.5)
    assert np.abs(np.diff(out[:, 0])).max() < 2 / CROSSFADE, "there is a click"
    faded = np.flatnonzero((out[:, 0] > -0.5) & (out[:, 0] < 0.5))
    assert len(faded) == CROSSFADE


def test_the_fade_beyond_a_short_source_reflects_it_more_than_once() -> None:
    source = np.linspace(0, 0.5, SAMPLES_PER_FRAME, dtype=np.float32)[:, np.newaxis].repeat(2, 1)
    window = Window.of(-1.0, 0.0, len(source))
    music = level(0, SECOND)
    fade = 5 * SAMPLES_PER_FRAME // 2
    below = window.splice(source, music, fade)[SECOND - fade : SECOND]
    fall = (np.arange(fade)[::-1] + 0.5) / fade
    # From the seam back in time: as the source itself goes on.
    backwards = np.concatenate([source, source[::-1], source[: SAMPLES_PER_FRAME // 2]])
    np.testing.assert_allclose(below[::-1], backwards * (1 - fall[::-1, np.newaxis]), atol=1e-6)


EDGES: list[tuple[float, float | None]] = [
    *((1.0, 2.0), (0.0, 1.5), (3.013, None), (1.5, 1.58), (4.0, 7.0)),
    *((5.01, 7.0), (5.0145, 7.0), (-2.0, 0.0), (-2.01, 0.0), (-2.01, 0.001), (-1.3, 1.0)),
]


@pytest.mark.parametrize(
    ("mode", "strength"),
    [("conservative", 0.5), ("balanced", 0.5), ("balanced", 1.0), ("aggressive", 0.5)],
)
@pytest.mark.parametrize("gain", [0.05, 1.0])
def test_two_smooth_sounds_meet_without_a_click(
    mode: RepaintMode, strength: float, gain: float
) -> None:
    """Smooth, so that a click is not hidden by the music: its energy is at most the music's own."""
    seconds = np.arange(SOURCE + 4 * SECOND) / SECOND
    tones = [(np.sin, 220, SOURCE), (np.cos, 330, len(seconds))]
    whole, other = (
        (gain * wave(2 * np.pi * hz * seconds[:samples])).astype(np.float32)[:, None].repeat(2, 1)
        for wave, hz, samples in tones
    )
    fade = RepaintStyle.of(request(repaint_mode=mode, repaint_strength=strength)).fade
    most = 1.05 * max(differences(whole), differences(other))
    cuts = 0
    for start, end in EDGES:
        window = Window.of(start, end, SOURCE)
        music = other[window.begin : window.music_end]
        spliced = window.splice(whole, music, fade)
        cut = window.splice(whole, music, 0)
        for edge in (window.begin, window.music_end):
            if 0 < edge < len(spliced):
                around = slice(edge - 96, edge + 96)
                assert differences(spliced[around]) <= most, (start, end)
                cuts += differences(cut[around]) > most
    assert cuts >= len(EDGES) / 2, "a cut would not be found"


def differences(audio: Samples) -> float:
    """Energy of the difference from sample to sample."""
    return float(np.mean(np.diff(audio.astype(np.float64), axis=0) ** 2))
