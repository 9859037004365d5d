"""The decoder's cost of a job: the unit in which autoscaling and the ETA count."""

from acestep_ray.decoder.step_times import steps_made
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.duration import estimate_seconds, is_sung
from acestep_ray.settings import Settings
from acestep_ray.timebase import CODES_PER_SECOND


def decoder_work(spec: JobSpec, seconds: float) -> float:
    """Seconds of audio of all takes, times how often the model is asked: once per diffusion step
    that is made, with Heun's method twice, with flow-edit twice for each noise. ``seconds``: length
    of one take.

    A step may cost more at a greater length, with guidance or on another GPU. The measured
    throughput includes that.
    """
    asked = spec.decode
    calls = 2 if asked.uses_heun else 1
    if asked.edits_flow:
        calls = 2 * asked.flow_edit_n_avg
    codes_follow = spec.plan is not None and spec.plan.infer_type == "llm_dit"
    has_source = bool(asked.source or asked.codes or codes_follow)
    steps = steps_made(asked, has_source=has_source, turbo=False)
    return seconds * len(asked.seeds) * steps * calls


def length_of(spec: JobSpec, settings: Settings) -> float:
    """Length of a take in seconds, as far as it is known before a plan is made."""
    asked = spec.decode
    if asked.codes:
        return len(asked.codes[0]) / CODES_PER_SECOND
    if asked.source is not None:
        return asked.source.seconds
    if asked.duration is not None:
        return asked.duration
    if spec.plan is not None and is_sung(asked.lyrics):
        return estimate_seconds(asked.lyrics, settings.lyrics)
    return settings.defaults.duration
