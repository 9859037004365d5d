"""``GET /v1/audio?path=``: a take, by the path that POST /query_result returns."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from acestep_ray.api.dependencies import ContextDep
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.routes.audio import IfNoneMatch, IfRange, Range, get_audio, head_audio
from acestep_ray.api.upstream.audio_paths import take_of

router = APIRouter(tags=["upstream"])

TakePath = Annotated[
    str,
    Query(
        description="As the file of a result has it; what stands before job and take is ignored.",
        examples=["550e8400-e29b-41d4-a716-446655440000/1.mp3"],
    ),
]


@router.get(
    "/v1/audio",
    operation_id="get_take_audio",
    summary="Fetch a take (upstream's API)",
    response_class=StreamingResponse,
)
async def get_take_audio(
    path: TakePath,
    context: ContextDep,
    *,
    range: Range = None,
    if_range: IfRange = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """As GET /v1/audio/{job_id}/{name}."""
    job_id, name = _take(path)
    return await get_audio(
        job_id, name, context, range=range, if_range=if_range, if_none_match=if_none_match
    )


@router.head(
    "/v1/audio",
    operation_id="head_take_audio",
    summary="Size, type and ETag of a take (upstream's API)",
    response_class=Response,
)
async def head_take_audio(
    path: TakePath, context: ContextDep, if_none_match: IfNoneMatch = None
) -> Response:
    """As HEAD /v1/audio/{job_id}/{name}."""
    job_id, name = _take(path)
    return await head_audio(job_id, name, context, if_none_match)


def _take(path: str) -> tuple[str, str]:
    take = take_of(path)
    if take is None:
        raise Problem(
            ProblemCode.OUTSIDE_AUDIO,
            "The path is not that of a take; send the one that POST /query_result returns.",
        )
    return take
