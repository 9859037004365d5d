"""Makes the requests to planner and decoder from a JobSpec."""

from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.protocol import Plan, PlanRequest
from acestep_ray.settings.tree import Settings


def plan_request(job_id: str, attempt: int, spec: JobSpec, settings: Settings) -> PlanRequest:
    """The planner's request. Its seed is that of the first take."""
    assert spec.plan is not None
    song = spec.decode
    return PlanRequest(
        **dict(spec.plan),
        job_id=job_id,
        attempt=attempt,
        caption=song.caption,
        lyrics=song.lyrics,
        vocal_language=song.vocal_language,
        bpm=song.bpm,
        key_scale=song.key_scale,
        time_signature=song.time_signature,
        duration=song.duration,
        seed=song.seeds[0],
        max_duration=settings.limits.duration,
    )


def decode_request(
    job_id: str, attempt: int, spec: JobSpec, plan: Plan | None, settings: Settings
) -> DecodeRequest:
    """The decoder's request: the user's values first, then those of the plan, then the defaults."""
    asked = spec.decode
    parameters = dict(asked)
    if plan:
        metadata = plan.metadata
        parameters |= {
            "bpm": metadata.bpm if asked.bpm is None else asked.bpm,
            "key_scale": asked.key_scale or metadata.keyscale,
            "time_signature": asked.time_signature or metadata.timesignature,
            "codes": (plan.codes,) if plan.codes else asked.codes,
        }
        if spec.plan and spec.plan.use_cot_caption and metadata.caption:
            parameters["caption"] = metadata.caption
    return DecodeRequest(
        **parameters,
        job_id=job_id,
        attempt=attempt,
        seconds=asked.duration or (plan.seconds if plan else settings.defaults.duration),
    )
