"""Repainting: everything outside the window stays, sample for sample."""

from typing import Any

import numpy as np
import pytest

from acestep_ray.audio.resample import resample, to_stereo
from acestep_ray.decoder.mock.loudness import rms
from acestep_ray.decoder.protocol import DecoderError, Sources
from acestep_ray.timebase import SAMPLES_PER_FRAME, Samples
from tests.unit.decoder.mock.takes import request, swell, take, takes

RATE = 48_000


def repaint(
    source: Samples, start: float, end: float | None, rate: int = RATE, **values: Any
) -> Samples:
    sources = Sources(source=source, source_rate=rate)
    return take(sources, task="repaint", repaint_start=start, repaint_end=end, **values)


def test_outside_the_window_the_source_is_as_it_was() -> None:
    source = swell(8.0)
    kept = source.copy()
    out = repaint(source, 2.0, 5.0)
    assert out.shape == source.shape
    assert np.array_equal(out[: 2 * RATE], source[: 2 * RATE])
    assert np.array_equal(out[5 * RATE :], source[5 * RATE :])
    inside = out[2 * RATE : 5 * RATE] - source[2 * RATE : 5 * RATE]
    assert rms(inside) > 0.05
    assert np.array_equal(source, kept), "the source was written into"


def test_it_keeps_a_loud_and_a_quiet_sources_level() -> None:
    for level in (1.0, 0.01):
        source = swell(8.0) * np.float32(level)
        out = repaint(source, 3.0, 5.0)
        assert np.array_equal(out[: 3 * RATE], source[: 3 * RATE])
        beside = rms(np.concatenate([source[: 3 * RATE], source[5 * RATE :]]))
        assert rms(out[3 * RATE : 5 * RATE]) == pytest.approx(beside, rel=0.5)


@pytest.mark.parametrize("mode", ["conservative", "balanced", "aggressive"])
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_crossfade_lies_inside_and_leaves_no_step(mode: str, strength: float) -> None:
    t = np.arange(6 * RATE) / RATE
    source = (0.5 * np.sin(2 * np.pi * 50 * t)).astype(np.float32)[:, np.newaxis]
    values: dict[str, Any] = {"repaint_mode": mode, "repaint_strength": strength}
    out = repaint(source, 2.005, 4.0, **values)
    for edge in (round(2.005 * RATE), 4 * RATE):
        step = np.abs(np.diff(out[edge - 3 : edge + 3], axis=0)).max()
        assert step < 0.02
    assert np.array_equal(out[:96_240], source[:96_240].repeat(2, axis=1))
    assert np.array_equal(out[4 * RATE :], source[4 * RATE :].repeat(2, axis=1))


def test_an_end_of_none_is_the_sources_end() -> None:
    source = swell(5.0)
    out = repaint(source, 3.0, None)
    assert len(out) == len(source)
    assert np.array_equal(out[: 3 * RATE], source[: 3 * RATE])
    assert rms(out[3 * RATE :] - source[3 * RATE :]) > 0.01
    # Up to the end: there is nothing after it to fade into.
    assert rms(out[-RATE // 2 :]) > 0.01


def test_a_start_below_zero_paints_before_the_source() -> None:
    source = swell(4.0)
    out = repaint(source, -2.0, 1.0)
    assert len(out) == 6 * RATE
    assert rms(out[: 2 * RATE]) > 0.01
    assert np.array_equal(out[3 * RATE :], source[RATE:])


def test_an_end_beyond_the_source_paints_after_it() -> None:
    source = swell(4.0)
    out = repaint(source, 3.0, 7.0)
    assert len(out) == 7 * RATE
    assert np.array_equal(out[: 3 * RATE], source[: 3 * RATE])
    assert rms(out[4 * RATE :]) > 0.01


def test_both_sides_at_once_leave_nothing_of_the_source() -> None:
    out = repaint(swell(2.0), -1.0, 5.0)
    assert len(out) == 6 * RATE and rms(out) > 0.01


def test_an_end_of_zero_paints_before_the_source_alone() -> None:
    source = swell(2.0)
    out = repaint(source, -2.01, 0.0)
    assert len(out) == (4 * RATE + 480) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
    assert np.array_equal(out[2 * RATE + 480 :], source[: len(out) - 2 * RATE - 480])
    assert rms(out[2 * RATE - RATE // 10 : 2 * RATE]) > 0.001


def test_a_length_that_is_no_whole_frame_is_floored() -> None:
    source = swell(3.01)
    out = repaint(source, 1.0, 2.0)
    assert len(out) == 75 * SAMPLES_PER_FRAME
    assert np.array_equal(out[2 * RATE :], source[2 * RATE : 75 * SAMPLES_PER_FRAME])


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (32_000, 2), (96_000, 3)])
def test_the_source_is_brought_to_48_khz_stereo(rate: int, channels: int) -> None:
    source = swell(4.0, rate, channels)
    whole = np.clip(to_stereo(resample(source, rate, RATE)), -1, 1)
    out = repaint(source, 1.0, 2.0, rate)
    assert np.array_equal(out[:RATE], whole[:RATE])
    assert np.array_equal(out[2 * RATE :], whole[2 * RATE : len(out)])


def test_what_exceeds_full_scale_is_clamped() -> None:
    source = swell(4.0) * np.float32(4)
    out = repaint(source, 1.0, 2.0)
    assert np.array_equal(out[2 * RATE :], np.clip(source[2 * RATE :], -1, 1))
    assert np.abs(out).max() <= 1


def test_a_silent_source_gets_music_at_a_usual_level() -> None:
    out = repaint(np.zeros((4 * RATE, 2), dtype=np.float32), 1.0, 3.0)
    assert rms(out[RATE : 3 * RATE]) == pytest.approx(0.1, rel=0.2)
    assert not out[:RATE].any() and not out[3 * RATE :].any()


def test_a_tiny_window_and_a_tiny_source_work() -> None:
    source = swell(2.0)
    out = repaint(source, 1.0, 1.0001)
    changed = np.flatnonzero((out != source).any(axis=1))
    assert len(out) == len(source) and len(changed) <= 5
    assert len(repaint(swell(0.04), 0.0, None)) == SAMPLES_PER_FRAME


def test_other_seeds_paint_other_music() -> None:
    asked = request(task="repaint", repaint_start=1.0, repaint_end=4.0, seeds=(1, 2))
    first, second = takes(asked, Sources(source=swell(6.0), source_rate=RATE))
    assert np.array_equal(first.samples[:RATE], second.samples[:RATE])
    assert rms(first.samples[RATE : 4 * RATE] - second.samples[RATE : 4 * RATE]) > 0.02


@pytest.mark.parametrize(("start", "end"), [(5.0, None), (9.0, None), (3.0, 3.0)])
def test_an_empty_window_is_an_error_that_says_so(start: float, end: float | None) -> None:
    with pytest.raises(DecoderError, match="window is empty"):
        repaint(swell(5.0), start, end)
