"""Covers that begin with their source, covers without codes, and retakes, by the rule in numpy."""

from typing import Any

import numpy as np
import pytest
import torch

from acestep_ray.decoder.diffusers.loop import Sampling
from acestep_ray.decoder.protocol import DecodeRequest, OutOfMemoryError
from acestep_ray.decoder.render import Rendering
from acestep_ray.decoder.step_times import steps_made
from tests.models.decoder.diffusers.plain import Numbers, model_of, numbers, sampled, times_of
from tests.models.decoder.diffusers.test_latents import encoded, of_codes, through_codes
from tests.models.decoder.diffusers.test_samplers import more_noise
from tests.models.decoder.diffusers.tiny import Tiny, noise, request, source
from tests.models.decoder.diffusers.upstream import COVER, TEXT2MUSIC, Side, all_of, silence

FRAMES = 131
SOURCE = source(FRAMES * 1920 + 700)


def asking(**values: Any) -> DecodeRequest:
    return request(**{"task": "cover", "steps": 8, "seeds": (7, 8)} | values)


def written(
    tiny: Tiny, asked: DecodeRequest, side: Side, times: list[float], start: torch.Tensor | None
) -> Numbers:
    without = None
    if not tiny.pipeline.is_turbo:
        without = model_of(tiny, asked, side, FRAMES, text=False)
    frames = side.context.shape[1]
    return sampled(
        asked,
        numbers(noise(asked.seeds, frames)),
        times,
        model_of(tiny, asked, side, frames),
        without_text=without,
        more_noise=more_noise(asked.seeds, len(times)) if frames == FRAMES else None,
        start=None if start is None else numbers(start),
    )


def close(ours: torch.Tensor, theirs: Numbers) -> None:
    assert ours.abs().max() > 0.1
    expected = torch.from_numpy(theirs).float()
    torch.testing.assert_close(ours.cpu(), expected, atol=1e-3, rtol=1e-3)


def far(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("strength", "skipped"),
    [
        # With a shift of 3 the eight times are 1, .95, .9, .83, .75, .64, .5 and .3.
        (0.02, 0),
        (0.3, 4),
        (0.5, 6),
        (1.0, 7),
    ],
)
def test_a_cover_begins_with_as_much_of_its_source(
    turbo: Tiny, strength: float, skipped: int
) -> None:
    asked = asking(cover_noise_strength=strength)
    raw = encoded(turbo, SOURCE)
    side = Side(COVER, all_of(through_codes(turbo, raw)))
    ours = turbo.latents(asked, SOURCE)
    close(ours, written(turbo, asked, side, times_of(8, 3.0)[skipped:], raw))
    if skipped:
        far(ours, turbo.latents(asking(), SOURCE))


@pytest.mark.parametrize("shift", [1.0, 2.6, 3.0])
@pytest.mark.parametrize("steps", [1, 8, 27])
def test_the_cost_of_a_job_counts_the_steps_that_are_made(
    turbo: Tiny, steps: int, shift: float
) -> None:
    """The ETA is computed from it, before the job has a decoder. (Of two times that are equally
    near, rounding decides.)"""
    for strength in (0.0, 0.01, 0.31, 0.48, 0.77, 1.0):
        values: dict[str, Any] = {"cover_noise_strength": strength, "steps": steps, "shift": shift}
        asked = asking(codes=((1, 2, 3),), **values)
        made = Sampling.of(turbo.pipeline, asked, has_source=True)
        assert steps_made(asked, has_source=True, turbo=True) == made.steps


@pytest.mark.parametrize("values", [{}, {"infer_method": "sde"}])
def test_so_does_a_cover_of_a_base_model(base: Tiny, values: dict[str, Any]) -> None:
    """With SDE, too, the source is not lost again in noise."""
    asked = asking(cover_noise_strength=0.4, shift=1.0, **values)
    raw = encoded(base, SOURCE)
    side = Side(COVER, all_of(through_codes(base, raw)))
    ours = base.latents(asked, SOURCE)
    close(ours, written(base, asked, side, times_of(8, 1.0)[3:], raw))


def test_codes_begin_with_their_own_sound(turbo: Tiny) -> None:
    codes = tuple(range(500, 63_000, 2_400))
    asked = asking(task="text2music", codes=(codes,), cover_noise_strength=0.5)
    latents = of_codes(turbo, codes)
    side = Side(COVER, all_of(latents))
    close(turbo.latents(asked), written(turbo, asked, side, times_of(8, 3.0)[6:], latents))


def test_the_strength_of_a_late_cover_counts_the_steps_that_are_left(turbo: Tiny) -> None:
    """0.3 leaves 4 of 8 steps, the last two of them without the source."""
    asked = asking(cover_noise_strength=0.3, cover_strength=0.5)
    raw = encoded(turbo, SOURCE)
    cover = Side(COVER, all_of(through_codes(turbo, raw)))
    plain = Side(TEXT2MUSIC, all_of(silence(turbo.pipeline, FRAMES)))
    models = [model_of(turbo, asked, side, FRAMES) for side in (cover, plain)]
    times = times_of(8, 3.0)[4:]

    def model(latents: Numbers, t: float) -> Numbers:
        return models[times.index(t) >= 2](latents, t)

    start = numbers(noise(asked.seeds, FRAMES))
    expected = sampled(asked, start, times, model, start=numbers(raw))
    close(turbo.latents(asked, SOURCE), expected)


def test_a_new_song_has_nothing_to_begin_with(turbo: Tiny) -> None:
    asked = request(cover_noise_strength=0.5)
    assert torch.equal(turbo.latents(asked), turbo.latents(request()))


def test_the_steps_that_are_left_out_are_not_reported(turbo: Tiny) -> None:
    reports: list[tuple[str, int, int]] = []
    asked = asking(cover_noise_strength=0.5)
    for _ in turbo.engine.generate(asked, SOURCE, lambda *report: reports.append(report)):
        pass
    assert [one for one in reports if one[0] == "diffusion"] == [
        ("diffusion", 0, 2),
        ("diffusion", 1, 2),
        ("diffusion", 2, 2),
    ]


def test_a_cover_without_codes_follows_the_source_itself(turbo: Tiny) -> None:
    asked = asking(task="cover-nofsq")
    side = Side(COVER, all_of(encoded(turbo, SOURCE)))
    ours = turbo.latents(asked, SOURCE)
    close(ours, written(turbo, asked, side, times_of(8, 3.0), None))
    far(ours, turbo.latents(asking(), SOURCE))
    codes = ((3,) * 26,)
    with_codes = turbo.latents(asking(task="cover-nofsq", codes=codes), SOURCE)
    assert torch.equal(with_codes, turbo.latents(asking(codes=codes), SOURCE)), "codes win"


def test_it_switches_to_text2music_as_a_cover_does(turbo: Tiny) -> None:
    values = {"task": "cover-nofsq", "cover_strength": 0.0}
    assert torch.equal(
        turbo.latents(asking(**values), SOURCE),
        turbo.latents(asking(cover_strength=0.0), SOURCE),
    )


@pytest.mark.parametrize("variance", [0.1, 0.7, 1.0])
def test_a_retake_mixes_the_noise_of_two_seeds(turbo: Tiny, variance: float) -> None:
    asked = asking(task="text2music", seconds=FRAMES / 25)
    retake = asked.model_copy(update={"retake_seeds": (70, 80), "retake_variance": variance})
    angle = variance * np.pi / 2
    start = np.cos(angle) * numbers(noise((7, 8), FRAMES))
    start = start + np.sin(angle) * numbers(noise((70, 80), FRAMES))
    side = Side(TEXT2MUSIC, all_of(silence(turbo.pipeline, FRAMES)))
    expected = sampled(retake, start, times_of(8, 3.0), model_of(turbo, retake, side, FRAMES))
    ours = turbo.latents(retake)
    close(ours, expected)
    far(ours, turbo.latents(asked))


def test_a_retake_of_everything_is_the_other_seed(turbo: Tiny) -> None:
    whole = request(retake_seeds=(70,), retake_variance=1.0)
    torch.testing.assert_close(turbo.latents(whole), turbo.latents(request(seeds=(70,))))
    none = request(retake_seeds=(70,), retake_variance=0.0)
    assert torch.equal(turbo.latents(none), turbo.latents(request()))


def test_takes_that_are_made_one_by_one_keep_their_retake_seeds(turbo: Tiny) -> None:
    asked = request(seeds=(7, 8), retake_seeds=(70, 80), retake_variance=0.5)
    together = turbo.samples(asked)
    calls = 0

    def full_once(module: object, args: object, output: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OutOfMemoryError("once")

    made: list[Any] = []
    hook = turbo.pipeline.transformer.register_forward_hook(full_once)
    try:
        Rendering(turbo.engine, asked, source(1).__class__(), made.append).run()
    finally:
        hook.remove()
    takes = [one for one in made if hasattr(one, "samples")]
    assert [take.seed for take in takes] == [7, 8]
    for take, expected in zip(takes, together, strict=True):
        np.testing.assert_allclose(take.samples, expected, atol=1e-4)
