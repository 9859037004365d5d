"""What a listener perceives in a raw take: its tempo, its metre, its key."""

import numpy as np
import pytest

from acestep_ray.timebase import SAMPLE_RATE, Samples
from tests import measure
from tests.unit.decoder.mock.takes import LYRICS, take

CAPTIONS = [
    "upbeat pop song",
    "ambient drone",
    "solo piano, no drums",
    "lofi hip hop",
    "jazz trio",
    "drum and bass",
]


def clicks(bpm: float, beats: int, seconds: float = 20.0) -> Samples:
    """A metronome of low tones; the first of each bar is twice as loud."""
    out = np.zeros(round(seconds * SAMPLE_RATE), dtype=np.float32)
    t = np.arange(4800) / SAMPLE_RATE
    tone = (np.sin(2 * np.pi * 100 * t) * np.exp(-t / 0.03)).astype(np.float32)
    for number in range(int(seconds * bpm / 60)):
        at = round(number * 60 / bpm * SAMPLE_RATE)
        heard = tone[: len(out) - at]
        out[at : at + len(heard)] += heard * (0.8 if number % beats == 0 else 0.4)
    return out


@pytest.mark.parametrize("bpm", [90, 120, 174])
def test_the_measure_itself_refuses_beats_three_percent_off(bpm: int) -> None:
    assert measure.on_grid(clicks(bpm, 4), SAMPLE_RATE, bpm)
    for off in (0.97, 0.98, 1.02, 1.03):
        assert not measure.on_grid(clicks(bpm * off, 4), SAMPLE_RATE, bpm)
    noise = np.random.default_rng(1).standard_normal(10 * SAMPLE_RATE).astype(np.float32)
    assert not measure.on_grid(noise, SAMPLE_RATE, bpm)


def test_the_measure_itself_tells_metres_apart() -> None:
    assert measure.accent(clicks(100, 3), SAMPLE_RATE, 100, 3) > 1.5
    assert measure.accent(clicks(100, 3), SAMPLE_RATE, 100, 4) < 1.2
    assert measure.accent(clicks(100, 4), SAMPLE_RATE, 100, 3) < 1.2


@pytest.mark.parametrize("bpm", [90, 120, 174])
@pytest.mark.parametrize("caption", CAPTIONS)
def test_the_beats_lie_on_the_tempo(caption: str, bpm: int) -> None:
    samples = take(caption=caption, bpm=bpm, lyrics=LYRICS, seconds=20.0)
    assert measure.on_grid(samples, SAMPLE_RATE, bpm)


@pytest.mark.parametrize(("played", "asked"), [(93, 90), (124, 120), (116, 120), (169, 174)])
def test_a_take_three_percent_off_is_found_out(played: int, asked: int) -> None:
    assert not measure.on_grid(take(bpm=played, seconds=20.0), SAMPLE_RATE, asked)


@pytest.mark.parametrize("caption", CAPTIONS)
def test_the_first_beat_of_a_bar_is_the_heaviest(caption: str) -> None:
    for beats, other in ((3, 4), (4, 3)):
        samples = take(caption=caption, bpm=100, time_signature=str(beats), seconds=24.0)
        assert measure.accent(samples, SAMPLE_RATE, 100, beats) > 1.3
        assert measure.accent(samples, SAMPLE_RATE, 100, other) < 1.15
    for beats in (2, 6):
        samples = take(caption=caption, bpm=100, time_signature=str(beats), seconds=24.0)
        assert measure.accent(samples, SAMPLE_RATE, 100, beats) > 1.2


@pytest.mark.parametrize("caption", CAPTIONS)
def test_the_pitches_are_the_keys(caption: str) -> None:
    for lyrics in ("", LYRICS):
        heard = {
            key: measure.chroma(
                take(caption=caption, key_scale=key, lyrics=lyrics, seconds=24.0), SAMPLE_RATE
            )
            for key in ("C major", "F# minor")
        }
        major, minor = heard["C major"], heard["F# minor"]
        assert measure.share_of(major, measure.C_MAJOR) > 0.9
        assert measure.share_of(minor, measure.F_SHARP_MINOR) > 0.9
        # The scales share D, E, A and B.
        assert measure.share_of(major, measure.F_SHARP_MINOR) < 0.6
        assert measure.share_of(minor, measure.C_MAJOR) < 0.6


def test_what_the_caption_leaves_open_is_read_from_it() -> None:
    for caption, low, high in (("a slow ballad", 55, 76), ("fast drum and bass", 168, 178)):
        samples = take(caption=caption, bpm=None, key_scale="", time_signature="", seconds=20.0)
        correlation = measure.autocorrelation(measure.onsets(samples, SAMPLE_RATE))
        grids = [measure.grid_strength(correlation, bpm) for bpm in range(low, high + 1)]
        assert max(grids) > 0.5
