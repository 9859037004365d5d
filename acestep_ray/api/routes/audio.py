"""``/v1/audio``: a job's takes, by job and number, not by a path on the server."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.routes.byte_range import Unsatisfiable, choose_span, matches
from acestep_ray.api.routes.job_view import UNREADABLE
from acestep_ray.api.routes.jobs import JobId
from acestep_ray.artifacts.content_disposition import disposition
from acestep_ray.artifacts.store import ArtifactMissing, Method
from acestep_ray.formats import FORMATS
from acestep_ray.jobs.result import JobResult, Take
from acestep_ray.jobs.spec import JobSpec

router = APIRouter(tags=["audio"])

Range = Annotated[
    str | None, Header(description="One byte range, such as bytes=0-99.", examples=["bytes=0-99"])
]
IfRange = Annotated[
    str | None, Header(description="Only then a part: the file's ETag.", examples=['"5f1d"'])
]
IfNoneMatch = Annotated[
    str | None, Header(description="ETag of the copy there is: 304.", examples=['"5f1d"'])
]


@router.get(
    "/v1/audio/{job_id}/{name}",
    operation_id="get_audio",
    summary="Fetch a take",
    response_class=StreamingResponse,
)
async def get_audio(
    job_id: JobId,
    name: str,
    context: ContextDep,
    *,
    range: Range = None,
    if_range: IfRange = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A take of a succeeded job: 1.mp3, 2.mp3 and so on, as audio_paths names them."""
    spec, take = await find_take(job_id, name, context)
    return await _answer(
        spec, take, context, ranges=(range, if_range), if_none_match=if_none_match, method="GET"
    )


@router.head(
    "/v1/audio/{job_id}/{name}",
    operation_id="head_audio",
    summary="Size, type and ETag of a take",
    response_class=Response,
)
async def head_audio(
    job_id: JobId, name: str, context: ContextDep, if_none_match: IfNoneMatch = None
) -> Response:
    """As GET, without the audio."""
    spec, take = await find_take(job_id, name, context)
    return await _answer(
        spec, take, context, ranges=(None, None), if_none_match=if_none_match, method="HEAD"
    )


async def find_take(job_id: str, name: str, context: AppContext) -> tuple[JobSpec, Take]:
    """The job's spec, and the take of that name (``1.mp3``) in the job's result.

    Raises Problem 404, and what JobService.get raises.
    """
    record = (await context.service.get(job_id)).record
    if record.result is None:
        raise Problem(
            ProblemCode.AUDIO_NOT_FOUND, f"The job is {record.status}; it has no audio to fetch."
        )
    try:
        result = JobResult.model_validate_json(record.result)
        spec = JobSpec.model_validate_json(record.spec)
    except ValueError:  # pydantic's
        raise Problem(ProblemCode.AUDIO_NOT_FOUND, UNREADABLE) from None
    for take in result.takes:
        if name == take.name:
            return spec, take
    names = ", ".join(take.name for take in sorted(result.takes, key=lambda take: take.index))
    raise Problem(ProblemCode.AUDIO_NOT_FOUND, f"The job has no such take; it has {names}.")


async def _answer(
    spec: JobSpec,
    take: Take,
    context: AppContext,
    *,
    ranges: tuple[str | None, str | None],
    if_none_match: str | None,
    method: Method,
) -> Response:
    etag = f'"{take.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": disposition(spec.decode.caption, take.index, take.format),
        "X-Content-Type-Options": "nosniff",
    }
    if matches(etag, if_none_match):
        return Response(status_code=304, headers=headers)
    try:
        size = await context.artifacts.size(take.key)
    except ArtifactMissing:
        raise Problem(ProblemCode.AUDIO_NOT_FOUND, "The take is no longer in storage.") from None
    if context.settings.downloads == "redirect":
        seconds = context.settings.download_seconds
        url = await context.artifacts.sign(take.key, method, seconds)
        # 307: a client that follows it keeps the method, and the URL is signed for only that one.
        return RedirectResponse(url, 307, {"Cache-Control": "no-store"})
    try:
        span = choose_span(size, etag, *ranges)
    except Unsatisfiable:
        raise Problem(
            ProblemCode.RANGE_NOT_SATISFIABLE,
            f"The range lies outside the file, which is {size} bytes long.",
            headers={"Content-Range": f"bytes */{size}"},
        ) from None
    start, end = (span.start, span.end) if span else (0, size)
    headers["Content-Length"] = str(end - start)
    if span:
        headers["Content-Range"] = span.content_range
    media_type = FORMATS[take.format].media_type
    if method == "HEAD":
        return Response(headers=headers, media_type=media_type)
    chunks = context.artifacts.stream(take.key, start, end)
    return StreamingResponse(chunks, 206 if span else 200, headers, media_type)
