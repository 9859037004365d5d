"""Makes the requests to planner and decoder from a JobSpec."""

from typing import NamedTuple

from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.planner.protocol import Plan, PlanParameters, PlanRequest
from acestep_ray.planner.song_language import language_of_song
from acestep_ray.settings.tree import Settings


def plan_request(job_id: str, attempt: int, spec: JobSpec, settings: Settings) -> PlanRequest:
    """The planner's request. Its seed is that of the first take."""
    assert spec.plan is not None
    song = spec.decode
    return PlanRequest(
        **dict(spec.plan),
        job_id=job_id,
        attempt=attempt,
        request_id=spec.request_id,
        trace=spec.trace,
        caption=song.caption,
        lyrics=song.lyrics,
        vocal_language=song.vocal_language,
        bpm=song.bpm,
        key_scale=song.key_scale,
        time_signature=song.time_signature,
        duration=song.duration,
        seed=song.seeds[0],
        seeds=song.seeds if _each_take_has_codes(spec) else (),
        max_duration=settings.limits.duration,
    )


def has_codes_of_takes(plan: Plan, spec: JobSpec) -> bool:
    """Whether the plan has codes for each take, if the spec asks for that and codes are made."""
    return not (plan.codes and _each_take_has_codes(spec)) or bool(plan.take_codes)


def _each_take_has_codes(spec: JobSpec) -> bool:
    return bool(spec.plan and spec.plan.plan_per_take and len(spec.decode.seeds) > 1)


class SongWords(NamedTuple):
    """The words of a song, as the decoder reads them."""

    caption: str
    lyrics: str
    vocal_language: str


def song_words(spec: JobSpec, plan: Plan | None) -> SongWords:
    """The request's words, or those that the language model (LM) wrote instead.

    The language is the one that the LM was told, or that it chose itself (song_language.py): the
    codes follow it, too.
    """
    asked = spec.decode
    words = SongWords(asked.caption, asked.lyrics, asked.vocal_language)
    if spec.plan is None or plan is None:
        return words
    text = plan.text
    language = language_of_song(
        _chooser(spec.plan), asked.vocal_language, (text or plan).metadata.language
    )
    words = words._replace(vocal_language=language)
    if text is None:
        new_caption = spec.plan.use_cot_caption and plan.metadata.caption
        return words._replace(caption=new_caption) if new_caption else words
    return words._replace(caption=text.caption or asked.caption, lyrics=text.lyrics)


def _chooser(plan: PlanParameters) -> bool | None:
    """Who chooses the language: of a text that the LM writes, a language that the request names is
    never the LM's choice."""
    return None if plan.writing and plan.use_cot_language else plan.use_cot_language


def decode_request(
    job_id: str, attempt: int, spec: JobSpec, plan: Plan | None, settings: Settings
) -> DecodeRequest:
    """The decoder's request: the user's values first, then those of the plan, then the defaults."""
    asked = spec.decode
    parameters = {**dict(asked), **song_words(spec, plan)._asdict()}
    if plan:
        metadata = plan.metadata
        parameters |= {
            "bpm": metadata.bpm if asked.bpm is None else asked.bpm,
            "key_scale": asked.key_scale or metadata.keyscale,
            "time_signature": asked.time_signature or metadata.timesignature,
            "codes": plan.sequences or asked.codes,
        }
    return DecodeRequest(
        **parameters,
        job_id=job_id,
        attempt=attempt,
        request_id=spec.request_id,
        trace=spec.trace,
        seconds=asked.duration or (plan.seconds if plan else settings.defaults.duration),
    )
