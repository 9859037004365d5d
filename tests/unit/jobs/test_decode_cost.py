"""The decoder's cost of a job: what takes no time must not count, or the ETA would be too long."""

from typing import Any

import pytest

from acestep_ray.decoder.protocol import SourceAudio
from acestep_ray.jobs.decode_cost import decoder_work
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.protocol import PlanParameters
from tests.unit.jobs.specs import spec

SOURCE = SourceAudio(key="k", sample_rate=48_000, channels=2, samples=480_000)


def cover(strength: float, **values: Any) -> JobSpec:
    return spec(task="cover", source=SOURCE, cover_noise_strength=strength, **values)


def steps_made(job: JobSpec) -> float:
    """How many steps a job is charged for."""
    return decoder_work(job, 1.0) / len(job.decode.seeds)


def test_takes_seconds_and_steps() -> None:
    assert decoder_work(spec(), 30.0) == 30 * 2 * 8
    assert decoder_work(spec(seeds=(1, 2, 3, 4), sampler_mode="heun"), 10.0) == 10 * 4 * 16


@pytest.mark.parametrize(
    ("strength", "shift", "made"),
    # Times of 8 steps with a shift of 1: 1, 0.875, 0.75, ... 0.125.
    [(0.0, 1.0, 8), (0.05, 1.0, 8), (0.25, 1.0, 6), (0.5, 1.0, 4), (0.9, 1.0, 1), (1.0, 1.0, 1),
     # With a shift of 3: 1, 0.95, 0.9, 0.83, 0.75, 0.64, 0.5, 0.3.
     (0.25, 3.0, 4), (0.5, 3.0, 2), (1.0, 3.0, 1)],
)  # fmt: skip
def test_steps_that_a_cover_leaves_out_cost_nothing(
    strength: float, shift: float, made: int
) -> None:
    job = cover(strength, shift=shift)
    assert steps_made(job) == made
    assert decoder_work(job, 10.0) == 10 * 2 * made


def test_times_that_were_given() -> None:
    assert steps_made(cover(0.5, timesteps=(1.0, 0.8, 0.6, 0.1), steps=4)) == 2


def test_songs_from_codes_leave_steps_out_too_and_others_do_not() -> None:
    half: dict[str, Any] = {"cover_noise_strength": 0.5, "shift": 1.0}
    assert steps_made(spec(codes=((1, 2),), **half)) == 4
    assert steps_made(spec(PlanParameters(), **half)) == 4
    assert steps_made(spec(PlanParameters(infer_type="dit"), **half)) == 8
    assert steps_made(spec(**half)) == 8
