"""The denoising loop: diffusers' modules, with the meaning that ACE-Step's own code gives them.

``AceStepPipeline.__call__`` has the same loop with these differences: it measures the guidance
interval from the other end, and for a cover strength below 1 it mixes two predictions in every
step, while ACE-Step switches from one condition to the other. And it has no DCW.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import AceStepPipeline, FlowMatchEulerDiscreteScheduler
from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

from acestep_ray.decoder.diffusers.dcw import Dcw

MOMENTUM = -0.75
NORM_THRESHOLD = 2.5
"""Of adaptive projected guidance (arXiv 2410.02416), with ACE-Step's values."""


@dataclass(frozen=True)
class Condition:
    """The model's input besides the noise."""

    text: torch.Tensor
    """Lyrics, timbre and text as the cross-attention reads them, [1, tokens, hidden]."""
    context: torch.Tensor
    """Source latents and mask, [1 or takes, frames, 2 * channels]."""


@dataclass(frozen=True)
class Schedule:
    """How the noise is removed."""

    steps: int
    shift: float
    guidance_scale: float
    cfg_interval: tuple[float, float]
    """Guidance is applied at the times t in this range, both ends included; noise is t = 1."""
    dcw: Dcw | None = None
    """How the latents are corrected after each step; None: they are not."""


def denoise(
    pipeline: AceStepPipeline,
    noise: torch.Tensor,
    condition_of: Callable[[int], Condition],
    schedule: Schedule,
    after_step: Callable[[int], None],
) -> torch.Tensor:
    """Latents from ``noise``, both [takes, frames, channels].

    ``condition_of(step)`` counts from 0, ``after_step`` gets 1 to ``steps``; its exceptions are
    passed on. Turbo models, which have guidance distilled into their weights, run without guidance.
    """
    # A scheduler counts its steps: a new one for each run, so that no run affects another.
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0)
    # t = linspace(1, 0, steps + 1) without the 0, then shift * t / (1 + (shift - 1) * t).
    sigmas = pipeline._get_timestep_schedule(
        schedule.steps, schedule.shift, torch.device("cpu"), torch.float32
    )
    scheduler.set_timesteps(sigmas=sigmas.tolist())
    guided = schedule.guidance_scale > 1 and not pipeline.is_turbo
    low, high = schedule.cfg_interval
    momentum = MomentumBuffer(MOMENTUM)
    latents = noise
    for step, time in enumerate(scheduler.timesteps):
        condition = condition_of(step)
        if guided and low <= float(time) <= high:
            velocity = _guided(
                pipeline,
                latents,
                float(time),
                condition,
                scale=schedule.guidance_scale,
                momentum=momentum,
            )
        else:
            velocity = _velocity(pipeline, latents, float(time), condition)
        before = latents
        latents = scheduler.step(velocity, time, before, return_dict=False)[0]
        if schedule.dcw is not None:
            clean = before - velocity * float(time)
            latents = schedule.dcw.correct(latents, clean, float(time))
        after_step(step + 1)
    return latents


def _velocity(
    pipeline: AceStepPipeline, latents: torch.Tensor, time: float, condition: Condition
) -> torch.Tensor:
    takes = latents.shape[0]
    times = torch.full((takes,), time, device=latents.device, dtype=latents.dtype)
    velocity: torch.Tensor = pipeline.transformer(
        hidden_states=latents,
        timestep=times,
        timestep_r=times,
        encoder_hidden_states=condition.text.expand(takes, -1, -1),
        context_latents=condition.context.expand(takes, -1, -1),
        return_dict=False,
    )[0]
    return velocity


def _guided(
    pipeline: AceStepPipeline,
    latents: torch.Tensor,
    time: float,
    condition: Condition,
    *,
    scale: float,
    momentum: MomentumBuffer,
) -> torch.Tensor:
    """With and without the condition in one batch, combined by projected guidance."""
    takes = latents.shape[0]
    text = condition.text.expand(takes, -1, -1)
    nothing = pipeline.condition_encoder.null_condition_emb.to(text.dtype).expand_as(text)
    context = condition.context.expand(takes, -1, -1)
    both = Condition(torch.cat([text, nothing]), torch.cat([context, context]))
    with_text, without = _velocity(pipeline, torch.cat([latents, latents]), time, both).chunk(2)
    velocity: torch.Tensor = normalized_guidance(
        pred_cond=with_text,
        pred_uncond=without,
        guidance_scale=scale - 1,
        momentum_buffer=momentum,
        eta=0.0,
        norm_threshold=NORM_THRESHOLD,
        use_original_formulation=True,
        norm_dim=(1,),
    )
    return velocity
