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
from acestep_ray.decoder.diffusers.schedule import times_of
from acestep_ray.decoder.diffusers.velocity import Condition, Guidance, Velocity
from acestep_ray.decoder.protocol import DecodeParameters


@dataclass(frozen=True)
class Sampling:
    """How noise becomes music."""

    times: torch.Tensor
    """Of the steps, and the 0 in which they end, [steps + 1], float32 on the CPU."""
    guidance: Guidance
    dcw: Dcw | None = None
    """How the latents are corrected after each step; None: they are not."""
    heun: bool = False
    """Whether a step uses the mean of the velocities at its two ends."""
    sde: bool = False
    """Whether each step goes to the predicted music and back to new noise."""

    @classmethod
    def of(cls, pipeline: AceStepPipeline, request: DecodeParameters) -> "Sampling":
        """That of a request."""
        return cls(
            times_of(pipeline, request.steps, request.shift, request.timesteps),
            Guidance(
                request.guidance_scale,
                request.cfg_interval,
                request.use_adg,
                request.velocity_norm_threshold,
                request.velocity_ema_factor,
            ),
            Dcw.of(request, turbo=pipeline.is_turbo),
            heun=request.uses_heun,
            sde=request.infer_method == "sde",
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
    after_step: Callable[[int], None],
    new_noise: Callable[[], torch.Tensor],
) -> torch.Tensor:
    """Latents from ``noise``, both [takes, frames, channels].

    ``condition_of(step)`` counts from 0, ``after_step`` gets 1 to the number of steps; its
    exceptions are passed on. ``new_noise`` returns other noise of the same shape; it is called with
    ``sde`` only, once per step except the last.
    """
    times, steps = sampling.times, sampling.steps
    velocity = Velocity(pipeline, sampling.guidance)
    latents = noise
    for step in range(steps):
        condition = condition_of(step)
        time, after = float(times[step]), float(times[step + 1])
        before = latents
        first = velocity.first(before, time, condition)
        used = first
        if sampling.sde:
            if not pipeline.is_turbo:
                # As in upstream: whatever the schedule is, the noise falls by equal parts.
                after = 1 - (step + 1) / steps
            latents = _to_noise(_moved(before, first, -time), after, new_noise)
        else:
            by = times[step + 1] - times[step]
            # A turbo model is not asked at t = 0, for which it was not made.
            if sampling.heun and (after > 0 or not pipeline.is_turbo):
                second = velocity.second(_moved(before, first, by), after, condition, first)
                used = (first + second) / 2
            latents = _moved(before, used, by)
        velocity.before = used
        if sampling.dcw is not None:
            latents = sampling.dcw.correct(latents, before - first * time, time)
        after_step(step + 1)
    return latents


def _moved(latents: torch.Tensor, velocity: torch.Tensor, by: torch.Tensor | float) -> torch.Tensor:
    """Along ``velocity`` by a difference of times, which is negative. The sum has 32 bits."""
    return (latents.float() + by * velocity).to(velocity.dtype)


def _to_noise(
    clean: torch.Tensor, time: float, new_noise: Callable[[], torch.Tensor]
) -> torch.Tensor:
    """``clean`` latents with so much new noise that they are at ``time``."""
    return clean if time == 0 else time * new_noise() + (1 - time) * clean
