"""Every sampler and guidance through the whole engine, against the rule in numpy (plain.py)."""

from typing import Any

import numpy as np
import pytest
import torch

from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.decoder.step_times import TURBO_TIMES
from tests.models.decoder.diffusers.plain import Numbers, model_of, numbers, sampled, times_of
from tests.models.decoder.diffusers.tiny import CHANNELS, DEVICE, Tiny, noise, request
from tests.models.decoder.diffusers.upstream import TEXT2MUSIC, Side, all_of, silence

FRAMES = 131
SECONDS = FRAMES / 25


def asking(**values: Any) -> DecodeRequest:
    return request(**{"seconds": SECONDS, "steps": 4, "seeds": (7, 8)} | values)


def more_noise(seeds: tuple[int, ...], draws: int) -> list[Numbers]:
    """What the takes' generators give after the first noise, draw by draw."""
    shape = (1, FRAMES, CHANNELS)
    generators = [torch.Generator(DEVICE).manual_seed(seed) for seed in seeds]
    found = [
        np.concatenate(
            [numbers(torch.randn(shape, generator=one, device=DEVICE)) for one in generators]
        )
        for _ in range(draws + 1)
    ]
    assert np.array_equal(found[0], numbers(noise(seeds, FRAMES)))
    return found[1:]


def written(tiny: Tiny, asked: DecodeRequest, times: list[float] | None = None) -> torch.Tensor:
    times = times or times_of(asked.steps, asked.shift)
    side = Side(TEXT2MUSIC, all_of(silence(tiny.pipeline, FRAMES)))
    without = None
    if not tiny.pipeline.is_turbo:
        without = model_of(tiny, asked, side, FRAMES, text=False)
    latents = sampled(
        asked,
        numbers(noise(asked.seeds, FRAMES)),
        times,
        model_of(tiny, asked, side, FRAMES),
        without_text=without,
        more_noise=more_noise(asked.seeds, len(times)),
    )
    return torch.from_numpy(latents).float()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.abs().max() > 0.1
    torch.testing.assert_close(ours.cpu(), theirs, atol=1e-3, rtol=1e-3)


def far(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() > 1e-2


SOUNDS: list[dict[str, Any]] = [
    {"sampler_mode": "heun"},
    {"infer_method": "sde"},
    {"infer_method": "sde", "sampler_mode": "heun"},
    {"velocity_norm_threshold": 0.5},
    {"velocity_ema_factor": 0.3},
    {"sampler_mode": "heun", "velocity_ema_factor": 0.3, "velocity_norm_threshold": 0.6},
    {"infer_method": "sde", "velocity_ema_factor": 0.3, "velocity_norm_threshold": 0.6},
    {"sampler_mode": "heun", "dcw_enabled": True, "dcw_scaler": 0.3, "dcw_high_scaler": 0.2},
    {"infer_method": "sde", "dcw_enabled": True, "dcw_scaler": 0.3, "dcw_high_scaler": 0.2},
]
GUIDED: list[dict[str, Any]] = [
    {},
    {"use_adg": True},
    {"use_adg": True, "sampler_mode": "heun"},
    {"sampler_mode": "heun"},
    {"sampler_mode": "heun", "cfg_interval": (0.3, 0.8)},
    {"use_adg": True, "cfg_interval": (0.3, 0.8)},
    {"use_adg": True, "infer_method": "sde"},
    {"velocity_norm_threshold": 0.5, "velocity_ema_factor": 0.2},
    {"guidance_variant": "cfg"},
    {"guidance_variant": "cfg", "use_adg": True, "sampler_mode": "heun"},
    {"guidance_variant": "adg_w_norm", "cfg_interval": (0.1, 1.0)},
    {"guidance_variant": "adg_wo_clip", "sampler_mode": "heun"},
]


@pytest.mark.parametrize("values", SOUNDS)
def test_on_turbo(turbo: Tiny, values: dict[str, Any]) -> None:
    asked = asking(**values)
    ours = turbo.latents(asked)
    close(ours, written(turbo, asked))
    far(ours, turbo.latents(asking()))


@pytest.mark.parametrize("values", SOUNDS)
def test_on_base(base: Tiny, values: dict[str, Any]) -> None:
    asked = asking(**values)
    ours = base.latents(asked)
    close(ours, written(base, asked))
    far(ours, base.latents(asking()))


@pytest.mark.parametrize("values", GUIDED)
def test_with_guidance(base: Tiny, values: dict[str, Any]) -> None:
    asked = asking(guidance_scale=3.0, **values)
    ours = base.latents(asked)
    close(ours, written(base, asked))
    far(ours, base.latents(asking()))


def test_use_adg_is_a_variant(base: Tiny) -> None:
    by_name = base.latents(asking(guidance_scale=3.0, guidance_variant="adg"))
    assert torch.equal(by_name, base.latents(asking(guidance_scale=3.0, use_adg=True)))
    close(by_name, written(base, asking(guidance_scale=3.0, use_adg=True)))


@pytest.mark.parametrize("steps", [1, 2, 5, 7])
@pytest.mark.parametrize("shift", [1.0, 2.6])
def test_turbo_runs_fewer_steps_with_any_shift(turbo: Tiny, steps: int, shift: float) -> None:
    asked = asking(steps=steps, shift=shift)
    close(turbo.latents(asked), written(turbo, asked))


def test_given_times_are_used_as_they_are_by_a_base_model(base: Tiny) -> None:
    given = (0.97, 0.6, 0.35, 0.1)
    ours = base.latents(asking(timesteps=given))
    close(ours, written(base, asking(), [*given, 0.0]))
    far(ours, base.latents(asking()))


def test_given_times_become_those_that_turbo_knows(turbo: Tiny) -> None:
    assert len(TURBO_TIMES) == 20
    given = (0.97, 0.76, 0.615, 0.5, 0.395, 0.28, 0.18, 0.085)
    known = [21 / 22, 10 / 13, 0.625, 0.5, 0.4, 0.3, 2 / 9, 0.125, 0.0]
    ours = turbo.latents(asking(timesteps=given, steps=8))
    close(ours, written(turbo, asking(), known))
    far(ours, written(turbo, asking(), [*given, 0.0]))


def test_final_latents_are_scaled_and_then_shifted(turbo: Tiny) -> None:
    usual = turbo.latents(asking())
    ours = turbo.latents(asking(latent_rescale=1.25, latent_shift=-0.5))
    torch.testing.assert_close(ours, usual * 1.25 - 0.5)


@pytest.mark.parametrize("values", SOUNDS)
def test_a_seed_fixes_a_take_alone_in_a_batch_and_after_others(
    turbo: Tiny, values: dict[str, Any]
) -> None:
    both = turbo.latents(asking(**values))
    torch.manual_seed(99)
    turbo.latents(asking(seeds=(5,)))
    assert torch.equal(turbo.latents(asking(**values)), both)
    for index, seed in enumerate((7, 8)):
        alone = turbo.latents(asking(**values, seeds=(seed,)))
        torch.testing.assert_close(both[index : index + 1], alone, atol=1e-4, rtol=1e-4)
    far(both[:1], both[1:])


def test_velocities_of_zero_are_no_division_by_zero(turbo: Tiny) -> None:
    def nothing(module: object, args: object, output: tuple[torch.Tensor]) -> Any:
        return (output[0] * 0,)

    hook = turbo.pipeline.transformer.register_forward_hook(nothing)
    try:
        asked = asking(velocity_norm_threshold=1.0)
        assert torch.equal(turbo.latents(asked), noise(asked.seeds, FRAMES))
    finally:
        hook.remove()
