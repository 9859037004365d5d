"""Flow-edit: a song is moved from what its own text makes of it to what another text makes of it.

At each step the source is put into noise, once as it is and once as it has become. The model is
asked for the velocity of the first by the text of the source, and of the second by the new text;
the song moves by the difference. So what both texts have in common stays.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.diffusers.loop import Sampling, moved, to_noise
from acestep_ray.decoder.diffusers.velocity import Condition, Velocity
from acestep_ray.decoder.protocol import DecodeParameters


@dataclass(frozen=True)
class FlowEdit:
    """Which steps edit the source, and what they compare."""

    first: int
    """Steps before this one are left out: the coarse form stays."""
    last: int
    """From this step on the song is made on by the new text alone."""
    draws: int
    """How many noises the difference is averaged over in a step."""
    source: torch.Tensor
    """Latents, [1, frames, channels]."""
    original: Condition
    """The text that describes the source."""
    target: Condition
    """The new text."""

    @classmethod
    def of(
        cls,
        request: DecodeParameters,
        steps: int,
        source: torch.Tensor,
        original: Condition,
        target: Condition,
    ) -> "FlowEdit":
        """That of a request with so many steps."""
        return cls(
            int(steps * request.flow_edit_n_min),
            int(steps * request.flow_edit_n_max),
            request.flow_edit_n_avg,
            source,
            original,
            target,
        )


def edit_flow(
    pipeline: AceStepPipeline,
    edit: FlowEdit,
    sampling: Sampling,
    *,
    after_step: Callable[[int], None],
    new_noise: Callable[[], torch.Tensor],
) -> torch.Tensor:
    """Latents [takes, frames, channels]. For ``after_step`` and ``new_noise`` see ``denoise``; new
    noise is drawn for each draw of each step, and once where the new text goes on alone.

    Of the sampling, only the times and the guidance are used, which goes on once per step.
    """
    times, steps = sampling.times, sampling.steps
    away, towards = (Velocity(pipeline, sampling.guidance) for _ in range(2))
    edited = edit.source
    for step in range(edit.first, edit.last):
        time = float(times[step])
        sources = [to_noise(edit.source, time, new_noise()) for _ in range(edit.draws)]
        others = [edited + noisy - edit.source for noisy in sources]
        difference = _mean(towards, others, time, edit.target) - _mean(
            away, sources, time, edit.original
        )
        edited = moved(edited, difference, times[step + 1] - times[step])
        after_step(step + 1)
    if edit.last == steps:
        return edited if edit.first < edit.last else edited.expand_as(new_noise())
    latents = edited + to_noise(edit.source, float(times[edit.last]), new_noise()) - edit.source
    for step in range(edit.last, steps):
        velocity = _mean(towards, [latents], float(times[step]), edit.target)
        latents = moved(latents, velocity, times[step + 1] - times[step])
        after_step(step + 1)
    return latents


def _mean(
    velocity: Velocity, inputs: list[torch.Tensor], time: float, condition: Condition
) -> torch.Tensor:
    """The mean of the velocities of several latents, which ``velocity`` remembers as one step."""
    before = velocity.momentum.running_average
    found, remembered = [], []
    for latents in inputs:
        velocity.momentum.running_average = before
        found.append(velocity.first(latents, time, condition))
        remembered.append(velocity.momentum.running_average)
    if len(inputs) == 1:
        velocity.before = found[0]
        return found[0]
    velocity.momentum.running_average = sum(remembered) / len(remembered)
    velocity.before = torch.stack(found).mean(dim=0)
    return velocity.before
