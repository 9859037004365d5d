"""Makes the requests to planner and decoder from a JobSpec."""

from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.protocol import Plan, PlanRequest
from acestep_ray.settings.tree import Settings


def plan_request(job_id: str, attempt: int, spec: JobSpec, settings: Settings) -> PlanRequest:
    """The planner's request. Its seed is that of the first take."""
    assert spec.lm is not None
    lm = spec.lm
    return PlanRequest(
        job_id=job_id,
        attempt=attempt,
        caption=spec.caption,
        lyrics=spec.lyrics,
        vocal_language=spec.vocal_language,
        bpm=spec.bpm,
        key_scale=spec.key_scale,
        time_signature=spec.time_signature,
        duration=spec.duration,
        infer_type=lm.infer_type,
        seed=spec.seeds[0],
        model=lm.model,
        planner=lm.planner,
        temperature=lm.temperature,
        cfg_scale=lm.cfg_scale,
        negative_prompt=lm.negative_prompt,
        use_cot_caption=spec.use_cot_caption,
        top_k=lm.top_k,
        top_p=lm.top_p,
        repetition_penalty=lm.repetition_penalty,
        max_duration=settings.limits.duration,
    )


def decode_request(
    job_id: str, attempt: int, spec: JobSpec, plan: Plan | None, settings: Settings
) -> DecodeRequest:
    """The decoder's request: the user's values first, then those of the plan, then the defaults."""
    metadata = plan.metadata if plan else None
    caption = spec.caption
    if spec.use_cot_caption and metadata and metadata.caption:
        caption = metadata.caption
    return DecodeRequest(
        job_id=job_id,
        attempt=attempt,
        task=spec.task,
        caption=caption,
        lyrics=spec.lyrics,
        vocal_language=spec.vocal_language,
        instruction=spec.instruction,
        bpm=spec.bpm if spec.bpm is not None or metadata is None else metadata.bpm,
        key_scale=spec.key_scale or (metadata.keyscale if metadata else ""),
        time_signature=spec.time_signature or (metadata.timesignature if metadata else ""),
        seconds=spec.duration or (plan.seconds if plan else settings.defaults.duration),
        codes=(plan.codes,) if plan and plan.codes else spec.codes,
        seeds=spec.seeds,
        steps=spec.steps,
        guidance_scale=spec.guidance_scale,
        shift=spec.shift,
        cfg_interval=spec.cfg_interval,
        cover_strength=spec.cover_strength,
        repaint_start=spec.repaint_start,
        repaint_end=spec.repaint_end,
        track_name=spec.track_name,
        track_classes=spec.track_classes,
        use_tiled_decode=spec.use_tiled_decode,
        source=spec.source,
        reference=spec.reference,
        audio_format=spec.audio_format,
        model=spec.model,
    )
