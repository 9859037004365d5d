"""The times at which the model is asked, from noise (t = 1) to music (t = 0)."""

import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.step_times import first_step, nearest_turbo_times


def times_of(
    pipeline: AceStepPipeline,
    steps: int,
    shift: float,
    given: tuple[float, ...],
    *,
    exact: bool = False,
) -> torch.Tensor:
    """The times of the steps and the 0 in which they end, [steps + 1], float32 on the CPU.

    ``given``: the times themselves, without the 0, or none. Turbo models use the nearest of
    TURBO_TIMES for each, as in upstream, unless they are to be ``exact``. Without ``given``,
    t = linspace(1, 0, steps + 1), and then shift * t / (1 + (shift - 1) * t).
    """
    own = None
    if given:
        own = nearest_turbo_times(given) if pipeline.is_turbo and not exact else list(given)
    times = pipeline._get_timestep_schedule(
        steps, shift, torch.device("cpu"), torch.float32, timesteps=own
    )
    return torch.cat([times, torch.zeros(1)])


def late_start(times: torch.Tensor, strength: float) -> int:
    """See first_step. ``times``: with the 0 in which the steps end."""
    return first_step(times[:-1].tolist(), strength)
