"""The denoising loop: diffusers' modules, with the meaning that ACE-Step's own code gives them.

``AceStepPipeline.__call__`` has the plain form of this loop with two differences: it measures the
guidance interval from the other end, and for a cover strength below 1 it mixes two predictions in
every step, while ACE-Step switches from one condition to the other. It has none of the other
samplers and no corrections.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.diffusers.dcw import Dcw
from acestep_ray.decoder.diffusers.kept_source import KeptSource
from acestep_ray.decoder.diffusers.schedule import late_start, times_of
from acestep_ray.decoder.diffusers.velocity import Condition, Guidance, Velocity
from acestep_ray.decoder.protocol import DecodeParameters


@dataclass(frozen=True)
class Sampling:
    """How noise becomes music."""

    times: torch.Tensor
    """Of the steps, and the 0 in which they end, [steps + 1], float32 on the CPU."""
    levels: tuple[float, ...]
    """How much noise is left after each step, 0 to 1."""
    guidance: Guidance
    dcw: Dcw | None = None
    """How the latents are corrected after each step; None: they are not."""
    heun: bool = False
    """Whether a step uses the mean of the velocities at its two ends."""
    sde: bool = False
    """Whether each step goes to the predicted music and back to new noise."""

    @classmethod
    def of(
        cls, pipeline: AceStepPipeline, request: DecodeParameters, *, has_source: bool
    ) -> "Sampling":
        """That of a request. ``has_source``: whether the steps can begin with a source."""
        exact = request.edits_flow
        times = times_of(pipeline, request.steps, request.shift, request.timesteps, exact=exact)
        levels = times[1:].tolist()
        sde = request.infer_method == "sde"
        if has_source and request.cover_noise_strength > 0:
            skipped = late_start(times, request.cover_noise_strength)
            times, levels = times[skipped:], levels[skipped:]
        elif sde and not pipeline.is_turbo:
            # As in upstream: whatever the schedule is, the noise falls by equal parts.
            levels = [1 - (step + 1) / len(levels) for step in range(len(levels))]
        return cls(
            times,
            tuple(levels),
            Guidance(
                request.guidance_scale,
                request.cfg_interval,
                request.guidance,
                request.velocity_norm_threshold,
                request.velocity_ema_factor,
            ),
            Dcw.of(request, turbo=pipeline.is_turbo),
            heun=request.uses_heun,
            sde=sde,
        )

    @property
    def steps(self) -> int:
        """How many there are."""
        return len(self.times) - 1


def denoise(
    pipeline: AceStepPipeline,
    noise: torch.Tensor,
    condition_of: Callable[[int], Condition],
    sampling: Sampling,
    *,
    start: torch.Tensor | None,
    kept: KeptSource | None,
    after_step: Callable[[int], None],
    new_noise: Callable[[], torch.Tensor],
) -> torch.Tensor:
    """Latents from ``noise``, both [takes, frames, channels].

    ``start``: latents that are in the noise from the beginning, as much as the first time says;
    None: noise alone. ``kept``: the source around a repainted window; None: there is none.
    ``condition_of(step)`` counts from 0, ``after_step`` gets 1 to the number of steps; its
    exceptions are passed on. ``new_noise`` returns other noise of the same shape; it is called with
    ``sde`` only, once per step except the last.
    """
    times, steps = sampling.times, sampling.steps
    velocity = Velocity(pipeline, sampling.guidance)
    latents = noise
    if start is not None:
        latents = to_noise(start, float(times[0]), noise)
    injected = kept.injected_steps(steps) if kept else 0
    for step in range(steps):
        condition = condition_of(step)
        time, after = float(times[step]), float(times[step + 1])
        level = sampling.levels[step]
        before = latents
        first = velocity.first(before, time, condition)
        used = first
        if sampling.sde:
            latents = moved(before, first, -time)
            if level > 0:
                latents = to_noise(latents, level, new_noise())
        else:
            by = times[step + 1] - times[step]
            # A turbo model is not asked at t = 0, for which it was not made.
            if sampling.heun and (after > 0 or not pipeline.is_turbo):
                second = velocity.second(moved(before, first, by), after, condition, first)
                used = (first + second) / 2
            latents = moved(before, used, by)
        velocity.before = used
        if sampling.dcw is not None:
            latents = sampling.dcw.correct(latents, before - first * time, time)
        # A turbo model's last step stays as it is, in upstream too.
        if kept and step < injected and not (pipeline.is_turbo and step == steps - 1):
            latents = kept.inject(latents, noise, level)
        after_step(step + 1)
    return kept.blend(latents) if kept else latents


def moved(latents: torch.Tensor, velocity: torch.Tensor, by: torch.Tensor | float) -> torch.Tensor:
    """Along ``velocity`` by a difference of times, which is negative. The sum has 32 bits."""
    return (latents.float() + by * velocity).to(velocity.dtype)


def to_noise(clean: torch.Tensor, time: float, noise: torch.Tensor) -> torch.Tensor:
    """``clean`` latents with so much noise that they are at ``time``."""
    return time * noise + (1 - time) * clean
