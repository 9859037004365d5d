"""The times at which the model is asked, from noise (t = 1) to music (t = 0)."""

import torch
from diffusers import AceStepPipeline

from acestep_ray.decoder.late_start import first_step

_TURBO_TABLES = (
    (1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125),
    (1.0, 14 / 15, 6 / 7, 10 / 13, 2 / 3, 6 / 11, 0.4, 2 / 9),
    (1.0, 21 / 22, 0.9, 5 / 6, 0.75, 9 / 14, 0.5, 0.3),
)
TURBO_TIMES = tuple(sorted({time for table in _TURBO_TABLES for time in table}, reverse=True))
"""The 20 times that turbo models were made for: eight steps with a shift of 1, 2 or 3."""


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
        own = [_nearest(time) for time in given] if pipeline.is_turbo and not exact else list(given)
    times = pipeline._get_timestep_schedule(
        steps, shift, torch.device("cpu"), torch.float32, timesteps=own
    )
    return torch.cat([times, torch.zeros(1)])


def late_start(times: torch.Tensor, strength: float) -> int:
    """See first_step. ``times``: with the 0 in which the steps end."""
    return first_step(times[:-1].tolist(), strength)


def _nearest(time: float) -> float:
    return min(TURBO_TIMES, key=lambda known: abs(known - time))
