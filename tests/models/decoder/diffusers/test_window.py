"""Repainting with the diffusion engine: nothing outside the window changes."""

import numpy as np
import pytest

from acestep_ray.timebase import SAMPLES_PER_FRAME
from tests.models.decoder.diffusers.tiny import Tiny, music, request, source

SECOND = 48_000
CROSSFADE = 1440
SOURCE = 5 * SECOND + 700


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (1.0, 2.0),
        (1.03, 2.99),
        (0.0, 1.5),
        (3.0, None),
        (1.0, 1.01),
        (-1.3, 1.0),
        (4.0, 6.77),
        (-1.3, 0.0),
    ],
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
