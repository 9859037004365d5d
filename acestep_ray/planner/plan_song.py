"""A plan with everything that its request asks for: the song's text first, then metadata and codes.

The same for every engine.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acestep_ray.planner.protocol import (
    Plan,
    PlannerEngine,
    PlannerError,
    PlanProgress,
    PlanRequest,
    SongText,
    WriteRequest,
)


async def plan_song(
    engine: PlannerEngine, request: PlanRequest
) -> AsyncGenerator[PlanProgress | Plan, None]:
    """As PlannerEngine.plan. If the request asks for writing, the plan has ``text``."""
    text: SongText | None = None
    if request.writing is not None:
        async with aclosing(engine.write(write_request(request))) as events:
            async for written in events:
                if isinstance(written, SongText):
                    text = written
                else:
                    yield written
        if text is None:
            raise PlannerError("The language model wrote no text.")
        request = with_text(request, text)
    async with aclosing(engine.plan(request)) as events_of_plan:
        async for event in events_of_plan:
            if text is not None and isinstance(event, Plan):
                elapsed = event.elapsed + text.elapsed
                yield event.model_copy(update={"text": text, "elapsed": elapsed})
            else:
                yield event


def write_request(request: PlanRequest) -> WriteRequest:
    """The part of a plan's request that concerns its text. The user's metadata are kept; a language
    counts only if it is neither ``en``, which clients send by default, nor ``unknown``."""
    writing = request.writing
    assert writing is not None
    language = request.vocal_language
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
        vocal_language="" if language in ("en", "unknown") else language,
        max_duration=request.max_duration,
        seed=request.seed,
        temperature=request.temperature,
        top_k=request.top_k,
        top_p=request.top_p,
        repetition_penalty=request.repetition_penalty,
    )


def with_text(request: PlanRequest, text: SongText) -> PlanRequest:
    """The request with the song that the LM wrote: texts and metadata."""
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
            "writing": None,
        }
    )
