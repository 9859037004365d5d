"""Repainting: where the window is, and that nothing outside it changes."""

import numpy as np
import pytest

from acestep_ray.decoder.diffusers.window import Window
from acestep_ray.decoder.protocol import DecoderError
from acestep_ray.decoder.repaint_style import RepaintStyle
from acestep_ray.timebase import SAMPLES_PER_FRAME, Samples
from tests.models.decoder.diffusers.tiny import Tiny, music, request, source

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


def padded(window: Window, audio: Samples) -> Samples:
    after = max(0, window.end - window.lead - len(audio))
    return np.pad(audio, ((window.lead, after), (0, 0)))


def test_splice_fades_within_the_window_alone() -> None:
    window = Window.of(1.03, 2.99, SOURCE)
    whole = np.full((SOURCE, 2), 0.5, dtype=np.float32)
    fresh = np.full(((window.last - window.first) * SAMPLES_PER_FRAME, 2), -0.5, dtype=np.float32)
    out = window.splice(whole, fresh, CROSSFADE)
    assert out.shape == (125 * SAMPLES_PER_FRAME, 2)
    # The model's last whole frame ends before the window does.
    begin, end = window.begin, window.last * SAMPLES_PER_FRAME
    assert np.all(out[:begin] == 0.5)
    assert np.all(out[end:] == 0.5)
    assert np.all(out[begin + CROSSFADE : end - CROSSFADE] == -0.5)
    steps = np.abs(np.diff(out[:, 0]))
    assert steps.max() < 2 / CROSSFADE, "there is a click"
    assert np.all(whole == 0.5), "the source itself was changed"


def test_nothing_is_faded_where_the_window_reaches_past_the_source() -> None:
    window = Window.of(-1.0, 6.0, SOURCE)
    fresh = np.full((window.frames * SAMPLES_PER_FRAME, 2), 0.25, dtype=np.float32)
    whole = padded(window, np.full((SOURCE, 2), 0.5, dtype=np.float32))
    assert np.all(window.splice(whole, fresh, CROSSFADE) == 0.25)


def test_a_fade_is_no_longer_than_the_source_in_the_window() -> None:
    window = Window.of(5.0, 7.0, SOURCE)
    whole = padded(window, np.full((SOURCE, 2), 0.5, dtype=np.float32))
    fresh = np.full((50 * SAMPLES_PER_FRAME, 2), 0.25, dtype=np.float32)
    out = window.splice(whole, fresh, CROSSFADE)
    assert np.all(out[: 5 * SECOND] == 0.5)
    assert np.all(out[SOURCE:] == 0.25)
    assert np.all(np.diff(out[5 * SECOND - 1 : SOURCE + 1, 0]) <= 0)


@pytest.mark.parametrize(
    ("start", "end"),
    [(1.0, 2.0), (1.03, 2.99), (0.0, 1.5), (3.0, None), (1.0, 1.01), (-1.3, 1.0), (4.0, 6.77)],
)
def test_outside_the_window_the_take_is_the_source(
    turbo: Tiny, start: float, end: float | None
) -> None:
    sources = source(SOURCE)
    assert sources.source is not None
    asked = request(task="repaint", repaint_start=start, repaint_end=end, seeds=(1, 2))
    first, second = turbo.samples(asked, sources)
    lead = max(0, round(-start * SECOND))
    begin = round(start * SECOND) + lead
    stop = (SOURCE if end is None else round(end * SECOND)) + lead
    assert len(first) == (max(SOURCE + lead, stop)) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
    for take in (first, second):
        if lead == 0:
            assert np.array_equal(take[:begin], sources.source[:begin])
        kept = len(take) - stop
        if kept > 0:
            assert np.array_equal(take[stop:], sources.source[stop - lead :][:kept])
        before = np.pad(sources.source, ((lead, len(take)), (0, 0)))
        assert not np.array_equal(take[begin:stop], before[begin:stop])
    assert not np.array_equal(first, second)


def test_a_repainted_source_keeps_its_level_and_the_others_do_not(turbo: Tiny) -> None:
    quiet = source(SOURCE)
    assert quiet.source is not None
    repaint = request(task="repaint", repaint_start=1.0, repaint_end=1.5)
    (take,) = turbo.samples(repaint, quiet)
    assert np.abs(take[: SECOND - 1]).max() == np.abs(quiet.source[: SECOND - 1]).max()
    (cover,) = turbo.samples(request(task="cover"), quiet)
    assert np.abs(cover).max() == pytest.approx(10 ** (-1 / 20), abs=1e-6)


def test_new_music_that_would_clip_is_brought_down_take_by_take(turbo: Tiny) -> None:
    """Divided by its peak, as upstream does: clipping distorts. The source keeps its level."""
    sources = source(SOURCE)
    assert sources.source is not None
    asked = request(task="repaint", repaint_start=1.0, repaint_end=2.0, seeds=(1, 2, 3))
    fresh = slice(SECOND + CROSSFADE, 2 * SECOND - CROSSFADE)
    quiet = [take[fresh] for take in turbo.samples(asked, sources)]
    assert max(np.abs(take).max() for take in quiet) < 1
    gain = 20.0
    hook = turbo.voice.register_forward_hook(lambda _module, _args, audio: audio * gain)
    try:
        loud = turbo.samples(asked, sources)
    finally:
        hook.remove()
    ratios = []
    for take, before in zip(loud, quiet, strict=True):
        assert np.abs(take).max() <= 1
        assert np.array_equal(take[:SECOND], sources.source[:SECOND])
        assert np.array_equal(take[2 * SECOND :], sources.source[2 * SECOND : len(take)])
        at = np.abs(before) > 0.01
        ratio = take[fresh][at] / before[at]
        assert ratio.max() == pytest.approx(ratio.min(), rel=1e-4), "its shape was changed"
        assert ratio.mean() < gain
        ratios.append(float(ratio.mean()))
    assert len(set(ratios)) == 3


def test_mono_at_another_rate_is_repainted_as_stereo_at_48_khz(turbo: Tiny) -> None:
    sources = source(1)
    mono = music(3 * 44_100, channels=1)
    sources = type(sources)(source=mono, source_rate=44_100)
    asked = request(task="repaint", repaint_start=1.0, repaint_end=2.0)
    (take,) = turbo.samples(asked, sources)
    assert take.shape == (3 * SECOND, 2)
    assert np.array_equal(take[:SECOND, 0], take[:SECOND, 1])


@pytest.mark.parametrize(
    ("mode", "strength"),
    [("conservative", 0.5), ("balanced", 0.5), ("balanced", 1.0), ("aggressive", 0.5)],
)
@pytest.mark.parametrize("gain", [0.05, 1.0])
def test_two_smooth_sounds_meet_without_a_click(mode: str, strength: float, gain: float) -> None:
    """Smooth, so that a click is not hidden by the music: its energy is at most the music's own."""
    seconds = np.arange(SOURCE) / SECOND
    whole = (gain * np.sin(2 * np.pi * 220 * seconds)).astype(np.float32)[:, None].repeat(2, axis=1)
    other = (gain * np.cos(2 * np.pi * 330 * seconds)).astype(np.float32)[:, None].repeat(2, axis=1)
    fade = RepaintStyle.of(request(repaint_mode=mode, repaint_strength=strength)).fade
    loudest = 0.0
    for start, end in ((1.0, 2.0), (0.0, 1.5), (3.013, None), (1.5, 1.58)):
        window = Window.of(start, end, SOURCE)
        fresh = other[window.first * SAMPLES_PER_FRAME : window.last * SAMPLES_PER_FRAME]
        spliced = window.splice(whole, fresh, fade)
        cut = window.splice(whole, fresh, 0)
        music_itself = max(differences(whole), differences(other))
        for edge in (window.begin, min(window.end, window.last * SAMPLES_PER_FRAME)):
            if 0 < edge < len(spliced) - 1:
                around = slice(edge - 96, edge + 96)
                assert differences(spliced[around]) <= music_itself * 1.05
                loudest = max(loudest, differences(cut[around]) / music_itself)
    assert loudest > 2, "a cut would not be found"


def differences(audio: Samples) -> float:
    """Energy of the difference from sample to sample."""
    return float(np.mean(np.diff(audio.astype(np.float64), axis=0) ** 2))
