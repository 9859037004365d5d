"""The modes of a repaint: their latents against the rule in numpy (plain.py), and what is heard.

Outside the window nothing changes, and at its edges there is no click.
"""

import sys
from typing import Any

import numpy as np
import pytest
import torch

from acestep_ray.decoder.protocol import Sources
from acestep_ray.timebase import Samples
from tests.models.decoder.diffusers.plain import Kept, Numbers, model_of, numbers, sampled, times_of
from tests.models.decoder.diffusers.test_latents import encoded
from tests.models.decoder.diffusers.tiny import Tiny, music, noise, request, source
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


LOUD = Sources(source=np.clip(music(FRAMES * 1920) * 20, -1, 1), source_rate=SECOND)
EDGES = [(2.0, 4.0), (0.0, 1.0), (4.5, None), (-1.0, 2.0), (4.0, 7.0), (-0.5, 6.5), (1.013, 1.031)]


@pytest.mark.parametrize("sources", [SOURCE, LOUD], ids=["quiet", "loud"])
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
    turbo: Tiny, mode: dict[str, Any], sources: Sources, capsys: pytest.CaptureFixture[str]
) -> None:
    original = sources.source
    assert original is not None
    worst = 0.0
    for start, end in EDGES:
        asked = asking(**mode, repaint_start=start, repaint_end=end)
        lead = max(0, round(-start * SECOND))
        begin = round(start * SECOND) + lead
        stop = (len(original) if end is None else round(end * SECOND)) + lead
        for take in turbo.samples(asked, sources):
            assert np.abs(take).max() <= 1
            before = original[: begin - lead] if begin > lead else original[:0]
            assert np.array_equal(take[lead:begin] if len(before) else before, before)
            after = original[stop - lead :]
            after = after[: max(0, len(take) - stop)]
            assert np.array_equal(take[stop : stop + len(after)], after)
            for edge in (begin, stop):
                if 0 < edge < len(take) - 1:
                    seam, usual = seam_and_music(take, edge)
                    worst = max(worst, seam / usual)
    with capsys.disabled():
        sys.stdout.write(f"\n{mode}: at a seam at most {worst:.2f} of the music's own energy ")
    assert worst <= 1


def seam_and_music(take: Samples, edge: int) -> tuple[float, float]:
    """Energy of the difference from sample to sample: in the 4 ms around the edge, and the most in
    4 ms anywhere in the half second beside it."""
    energy = np.sum(np.diff(take.astype(np.float64), axis=0) ** 2, axis=1)
    width = 192
    sums = np.convolve(energy, np.ones(width), "valid") / width
    at = max(0, edge - width // 2)
    nearby = np.concatenate(
        [sums[max(0, at - 24_000) : max(0, at - width)], sums[at + width :][:24_000]]
    )
    return float(sums[min(at, len(sums) - 1)]), float(nearby.max())
