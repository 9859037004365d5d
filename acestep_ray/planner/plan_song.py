"""A plan with everything that its request asks for: the song's text first, then metadata and codes.

The same for every engine.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.protocol import (
    Plan,
    PlannerEngine,
    PlannerError,
    PlanProgress,
    PlanRequest,
    SongText,
    WriteRequest,
)
from acestep_ray.planner.song_language import NOT_CHOSEN
from acestep_ray.timebase import codes_of_seconds


async def plan_song(
    engine: PlannerEngine, request: PlanRequest
) -> AsyncGenerator[PlanProgress | Plan, None]:
    """As PlannerEngine.plan. If the request asks for writing, the plan has ``text``."""
    if request.writing is None:
        async with aclosing(engine.plan(request)) as events:
            async for event in events:
                yield event
        return
    text: SongText | None = None
    async with aclosing(engine.write(write_request(request.checked()))) as events_of_text:
        async for written in events_of_text:
            if isinstance(written, SongText):
                text = written
            else:
                yield written
    if text is None:
        raise PlannerError("The language model wrote no text.")
    async with aclosing(engine.plan(with_text(request, text))) as events:
        async for event in events:
            if isinstance(event, Plan):
                elapsed = event.elapsed + text.elapsed
                yield event.model_copy(update={"text": text, "elapsed": elapsed})
            else:
                yield event


def write_request(request: PlanRequest) -> WriteRequest:
    """The part of a plan's request that concerns its text. The user's metadata are kept.

    The language counts as the user's unless it is ``unknown``, or ``en``, which clients send by
    default; with ``use_cot_language=False`` it always counts.
    """
    writing = request.writing
    assert writing is not None
    free = request.use_cot_language is not False and request.vocal_language in NOT_CHOSEN
    codes = 0
    if request.infer_type == "llm_dit":
        codes = codes_of_seconds(request.duration or DURATION_RANGE[0])
    return WriteRequest(
        kind=writing.kind,
        model=request.model,
        query=writing.query,
        instrumental=writing.instrumental,
        caption=request.caption,
        lyrics=request.lyrics,
        bpm=request.bpm,
        key_scale=request.key_scale,
        time_signature=request.time_signature,
        duration=request.duration,
        vocal_language="" if free else request.vocal_language,
        max_duration=request.max_duration,
        codes_after=codes,
        seed=request.seed,
        temperature=request.temperature,
        top_k=request.top_k,
        top_p=request.top_p,
    )


def with_text(request: PlanRequest, text: SongText) -> PlanRequest:
    """The request with the song that the LM wrote: its texts, metadata and language, of which none
    is left to choose."""
    metadata = text.metadata
    return request.model_copy(
        update={
            "caption": text.caption or request.caption,
            "lyrics": text.lyrics,
            "bpm": metadata.bpm,
            "key_scale": metadata.keyscale,
            "time_signature": metadata.timesignature,
            "duration": request.duration or float(metadata.duration),
            "vocal_language": metadata.language,
            "use_cot_language": False,
            "writing": None,
        }
    )
