"""Which steps a model makes, computed without torch. Times fall from 1 (noise) to 0 (music)."""

from collections.abc import Sequence

from acestep_ray.decoder.protocol import DecodeParameters

_TURBO_TABLES = (
    (1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125),
    (1.0, 14 / 15, 6 / 7, 10 / 13, 2 / 3, 6 / 11, 0.4, 2 / 9),
    (1.0, 21 / 22, 0.9, 5 / 6, 0.75, 9 / 14, 0.5, 0.3),
)
TURBO_TIMES = tuple(sorted({time for table in _TURBO_TABLES for time in table}, reverse=True))
"""The 20 times that turbo models were made for: eight steps with a shift of 1, 2 or 3."""


def nearest_turbo_times(times: Sequence[float]) -> list[float]:
    """The nearest of TURBO_TIMES for each of ``times``."""
    return [min(TURBO_TIMES, key=lambda known: abs(known - time)) for time in times]


def first_step(times: Sequence[float], strength: float) -> int:
    """The first step that is made, if so much of the source, 0 to 1, is in the noise at the
    beginning: the one whose time is nearest to 1 - strength, the earlier one of two that are
    equally near. ``times``: of all steps, without the 0 in which they end."""
    distances = [abs(time - (1 - strength)) for time in times]
    return distances.index(min(distances))


def steps_made(asked: DecodeParameters, *, has_source: bool, turbo: bool) -> int:
    """How many of the steps are made: flow-edit leaves some out at the beginning
    (``flow_edit_n_min``), and so does ``cover_noise_strength``, if there is a source for the steps
    to begin with."""
    if asked.edits_flow:
        return asked.steps - int(asked.steps * asked.flow_edit_n_min)
    if asked.cover_noise_strength <= 0 or not has_source:
        return asked.steps
    even = [1 - step / asked.steps for step in range(asked.steps)]
    times = [asked.shift * time / (1 + (asked.shift - 1) * time) for time in even]
    if asked.timesteps:
        times = nearest_turbo_times(asked.timesteps) if turbo else list(asked.timesteps)
    return len(times) - first_step(times, asked.cover_noise_strength)
