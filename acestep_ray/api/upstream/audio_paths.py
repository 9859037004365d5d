"""Audio that upstream's clients name by a path: that of a take, or of a file on the server."""

import asyncio
import os
import re
from collections.abc import Container
from dataclasses import replace
from urllib.parse import unquote

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.request.aliases import FILES
from acestep_ray.api.request.path_refusal import path_refusal
from acestep_ray.api.request.validation import ValidatedRequest
from acestep_ray.api.routes.audio import find_take
from acestep_ray.api.routes.source_takes import SourceTake
from acestep_ray.audio.ingest.allowed_paths import PathRefused, open_under
from acestep_ray.jobs.result import Take
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound

_TAKE = re.compile(
    r"(?:.*[/=])?(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?P<name>[0-9]{1,3}\.[a-z0-9]+)",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)


def take_of(path: str) -> tuple[str, str] | None:
    """Job id and name (``1.mp3``) of the take at the end of a path or URL of this service; None if
    there is none, or if the path contains ``..``."""
    path = unquote(path.strip())  # a part of a URL, as a client may cut it out
    match = _TAKE.fullmatch(path)
    if match is None or ".." in path.split("/"):
        return None
    return match["job"].lower(), match["name"]


async def find_takes_by_path(
    checked: ValidatedRequest, files: Container[str], context: AppContext
) -> tuple[ValidatedRequest, dict[str, SourceTake]]:
    """The takes that paths name, by the field of the file. The request no longer has these paths,
    nor those of fields whose file was sent: the file is used.

    Other paths are checked. Raises Problem 400.
    """
    takes: dict[str, SourceTake] = {}
    for field in FILES:
        name = f"{field}_path"
        path = getattr(checked.request, name)
        if not path:
            continue
        if field not in files:
            take = await _take(name, path, context)
            if take is None:
                continue
            takes[field] = SourceTake(name, take)
        request = checked.request.model_copy(update={name: None})
        checked = replace(checked, request=request, sent=checked.sent - {name})
    return checked, takes


async def _take(name: str, path: str, context: AppContext) -> Take | None:
    """The take that the path in the field ``name`` means; None if it is a file on the server."""
    try:
        os.close(await asyncio.to_thread(open_under, path, context.settings.audio_root_dirs))
    except PathRefused as error:
        if (named := take_of(path)) is None:
            why = path_refusal(path, error, context.settings)
            raise Problem(
                ProblemCode.PATH_REFUSED,
                f"{name} is refused: {why} Or send the path of a take of this service, or the file "
                f"itself, as {name.removesuffix('_path')} of a multipart/form-data body.",
            ) from None
    else:
        return None
    try:
        _, take = await find_take(*named, context)
    except JobNotFound:
        raise no_such_take(name, "There is no such job.") from None
    except JobExpired:
        raise no_such_take(name, "Its job was deleted, or its time is over.") from None
    except Problem as error:
        raise no_such_take(name, error.detail) from None
    return take


def no_such_take(name: str, why: str) -> Problem:
    """The field ``name`` names a take that is not there, or not any more; ``why`` is a sentence."""
    return Problem(
        ProblemCode.PATH_REFUSED, f"{name} names a take of this service that does not exist. {why}"
    )
