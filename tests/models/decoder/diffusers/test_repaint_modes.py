"""The modes of a repaint: their latents against the rule in numpy (plain.py), and what is heard.

Outside the window nothing changes, and at its edges there is no click.
"""

import sys
from typing import Any

import numpy as np
import pytest
import torch

from acestep_ray.decoder.protocol import Sources
from acestep_ray.decoder.repaint_style import RepaintStyle
from acestep_ray.timebase import Samples
from tests.models.decoder.diffusers.plain import Kept, Numbers, model_of, numbers, sampled, times_of
from tests.models.decoder.diffusers.test_latents import encoded
from tests.models.decoder.diffusers.tiny import DEVICE, Tiny, noise, request, source
from tests.models.decoder.diffusers.upstream import REPAINT, Side, lengthened, silence

SECOND = 48_000
FRAMES = 140
SOURCE = source(FRAMES * 1920 + 700)
FIRST, LAST = 50, 100
STEPS = 4

MODES: list[tuple[dict[str, Any], int, int]] = [
    # The mode, after how many of 4 steps the source is put back, and frames of the blend.
    ({"repaint_mode": "conservative"}, 4, 25),
    ({"repaint_mode": "balanced"}, 2, 12),
    ({"repaint_mode": "balanced", "repaint_strength": 0.2}, 3, 20),
    ({"repaint_mode": "balanced", "repaint_strength": 0.0}, 4, 25),
    ({"repaint_mode": "balanced", "repaint_strength": 1.0}, 0, 0),
]


def asking(**values: Any) -> Any:
    window = {"repaint_start": FIRST / 25, "repaint_end": LAST / 25}
    return request(**{"task": "repaint", "steps": STEPS, "seeds": (7, 8)} | window | values)


def written(
    tiny: Tiny,
    asked: Any,
    injected: int,
    ramp: int,
    *,
    explicit: bool = False,
    sources: Sources = SOURCE,
    window: tuple[int, int] = (FIRST, LAST),
) -> Numbers:
    clean = encoded(tiny, sources)
    frames = clean.shape[1]
    clean = lengthened(tiny.pipeline, clean)
    first, last = window
    shown = clean.clone()
    shown[:, first:last] = silence(tiny.pipeline, shown.shape[1])[:, first:last]
    mask = torch.ones_like(shown)
    if explicit:
        mask[:] = 0
        mask[:, first:last] = 1
    side = Side(REPAINT, torch.cat([shown, mask], dim=-1))
    without = None
    if not tiny.pipeline.is_turbo:
        without = model_of(tiny, asked, side, frames, text=False)
    kept = Kept(numbers(clean), first, last, injected)
    latents = sampled(
        asked,
        numbers(noise(asked.seeds, shown.shape[1])),
        times_of(asked.steps, asked.shift),
        model_of(tiny, asked, side, frames),
        without_text=without,
        kept=kept,
    )
    return kept.blended(latents, ramp)[:, :frames]


def close(ours: torch.Tensor, theirs: Numbers) -> None:
    assert ours.abs().max() > 0.1
    expected = torch.from_numpy(theirs).float()
    torch.testing.assert_close(ours.cpu(), expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("mode", "injected", "ramp"), MODES)
def test_each_mode_is_the_written_rule_on_turbo(
    turbo: Tiny, mode: dict[str, Any], injected: int, ramp: int
) -> None:
    asked = asking(**mode)
    close(turbo.latents(asked, SOURCE), written(turbo, asked, injected, ramp))


@pytest.mark.parametrize(("mode", "injected", "ramp"), MODES[:2])
@pytest.mark.parametrize("more", [{}, {"dcw_enabled": True, "sampler_mode": "heun"}])
def test_each_mode_is_the_written_rule_on_base(
    base: Tiny, mode: dict[str, Any], injected: int, ramp: int, more: dict[str, Any]
) -> None:
    asked = asking(**mode, **more, guidance_scale=2.0)
    close(base.latents(asked, SOURCE), written(base, asked, injected, ramp))


def test_balanced_with_half_the_strength_is_the_default(turbo: Tiny) -> None:
    asked = request(task="repaint", repaint_start=2.0, repaint_end=4.0)
    usual = asked.model_copy(update={"repaint_mode": "balanced", "repaint_strength": 0.5})
    left_out = type(asked).model_validate(asked.model_dump(exclude={"repaint_mode"}))
    assert torch.equal(turbo.latents(left_out, SOURCE), turbo.latents(usual, SOURCE))


def test_the_model_is_shown_the_window_only_if_asked(turbo: Tiny) -> None:
    for mode, injected, ramp in (("aggressive", 0, 0), ("balanced", 2, 12)):
        for mask in ("auto", "explicit", None):
            asked = asking(repaint_mode=mode, chunk_mask_mode=mask)
            explicit = mask == "explicit" or (mask is None and mode == "aggressive")
            ours = turbo.latents(asked, SOURCE)
            close(ours, written(turbo, asked, injected, ramp, explicit=explicit))


@pytest.mark.parametrize(
    ("start", "end", "window"), [(0.0, 0.4, (0, 10)), (4.8, None, (120, 140)), (0.2, 5.4, (5, 135))]
)
def test_a_blend_ends_where_the_piece_does(
    turbo: Tiny, start: float, end: float | None, window: tuple[int, int]
) -> None:
    asked = asking(repaint_mode="conservative", repaint_start=start, repaint_end=end)
    close(turbo.latents(asked, SOURCE), written(turbo, asked, 4, 25, window=window))


def test_a_piece_that_is_filled_up_keeps_its_source(turbo: Tiny) -> None:
    short = source(60 * 1920)
    asked = asking(repaint_mode="conservative", repaint_start=1.0, repaint_end=1.6)
    expected = written(turbo, asked, 4, 25, sources=short, window=(25, 40))
    close(turbo.latents(asked, short), expected)


def test_far_outside_the_window_the_latents_are_the_sources(turbo: Tiny) -> None:
    ours = turbo.latents(asking(repaint_mode="balanced"), SOURCE)
    clean = encoded(turbo, SOURCE)
    for outside in (slice(0, FIRST - 12), slice(LAST + 12, None)):
        assert torch.equal(ours[:1, outside], clean[:, outside])


SMOOTH_SECONDS = 5.6146
EDGES: list[tuple[float, float | None]] = [
    *((2.0, 4.0), (0.0, 1.0), (4.5, None), (-1.0, 2.0), (4.0, 7.0), (1.013, 1.078)),
    *((-2.01, 0.0), (-2.01, 0.001), (5.6, 7.0)),
]


@pytest.fixture
def smooth(turbo: Tiny, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """The VAE's decoder makes smooth music, so that no click is hidden by noise: each channel of
    the latents is a low tone that swells and fades over three frames."""
    samples = 3 * 1920
    swell = np.sin(np.pi * (np.arange(samples) + 0.5) / samples) ** 2
    tones = np.sin(2 * np.pi * np.linspace(40, 400, 128)[:, None] * np.arange(samples) / SECOND)
    weight = torch.from_numpy(0.02 * swell * tones).float().reshape(64, 2, samples)
    monkeypatch.setattr(turbo.voice.conv, "weight", torch.nn.Parameter(weight.to(DEVICE)))
    monkeypatch.setattr(turbo.voice.conv, "bias", None)
    return turbo


def chord(gain: float) -> Sources:
    """Three tones, which begin and end in the middle of a wave."""
    seconds = np.arange(round(SMOOTH_SECONDS * SECOND)) / SECOND
    tones = sum(np.cos(2 * np.pi * hz * seconds + hz) for hz in (110, 220, 331))
    audio = np.clip(gain * tones / 3, -1, 1).astype(np.float32)
    return Sources(source=np.stack([audio, 0.7 * audio], axis=1), source_rate=SECOND)


@pytest.mark.parametrize("gain", [0.05, 0.4, 3.0], ids=["quiet", "usual", "loud"])
@pytest.mark.parametrize(
    "mode",
    [
        {"repaint_mode": "conservative"},
        {"repaint_mode": "balanced"},
        {"repaint_mode": "balanced", "repaint_strength": 1.0},
        {"repaint_mode": "aggressive"},
    ],
    ids=["conservative", "balanced", "free", "aggressive"],
)
def test_nothing_changes_outside_and_nothing_clicks(
    smooth: Tiny, mode: dict[str, Any], gain: float, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = chord(gain)
    original = sources.source
    assert original is not None
    worst = 0.0
    for start, end in EDGES:
        asked = asking(**mode, repaint_start=start, repaint_end=end)
        lead = max(0, round(-start * SECOND))
        begin = round(start * SECOND) + lead
        stop = (len(original) if end is None else round(end * SECOND)) + lead
        for take in smooth.samples(asked, sources):
            assert np.abs(take).max() <= 1
            assert np.array_equal(take[:begin], original[:begin])
            after = original[stop - lead :][: max(0, len(take) - stop)]
            assert np.array_equal(take[stop:], after)
            worst = max(worst, worst_seam(take, begin, stop))
    with capsys.disabled():
        sys.stdout.write(f"\n{mode}: at a seam at most {worst:.2f} of the music's own energy ")
    assert worst <= 1


@pytest.mark.parametrize(("start", "end"), [edge for edge in EDGES if edge != (4.5, None)])
def test_the_measure_finds_a_hard_cut(
    smooth: Tiny, monkeypatch: pytest.MonkeyPatch, start: float, end: float | None
) -> None:
    monkeypatch.setattr(RepaintStyle, "of", lambda request: RepaintStyle(0.0, 0, 0))
    lead = max(0, round(-start * SECOND))
    begin = round(start * SECOND) + lead
    stop = (round(SMOOTH_SECONDS * SECOND) if end is None else round(end * SECOND)) + lead
    asked = asking(repaint_start=start, repaint_end=end, seeds=(7, 8, 9, 10))
    takes = smooth.samples(asked, chord(0.4))
    assert max(worst_seam(take, begin, stop) for take in takes) > 1


def worst_seam(take: Samples, begin: int, stop: int) -> float:
    """The seam with the most energy, in the music's own. If the end of a window lies inside a
    frame, the new music ends there or before it."""
    ends = {stop, stop // 1920 * 1920}
    found = [seam(take, edge) for edge in {begin} | ends if 96 < edge < len(take) - 96]
    return max(found, default=0.0)


def seam(take: Samples, edge: int) -> float:
    """Energy of the difference from sample to sample in the 4 ms around the edge, in units of the
    most in 4 ms of the second beside it."""
    energy = np.sum(np.diff(take.astype(np.float64), axis=0) ** 2, axis=1)
    width = 192
    sums = np.convolve(energy, np.ones(width), "valid") / width
    at = edge - width // 2
    nearby = [sums[max(0, at - 48_000) : max(0, at - width)], sums[at + width :][:48_000]]
    return float(sums[at] / np.concatenate(nearby).max())
