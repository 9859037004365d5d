"""Audio that upstream's clients name by a path: that of a take, or of a file on the server."""

import asyncio
import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.request.aliases import FILES
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.multipart_parts import Upload
from acestep_ray.api.request.validation import ValidatedRequest
from acestep_ray.api.routes.audio import find_take
from acestep_ray.artifacts.errors import ArtifactMissing
from acestep_ray.audio.ingest.allowed_paths import PathRefused, open_under
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound
from acestep_ray.settings import Settings

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


async def bring_takes(
    checked: ValidatedRequest, body: Body, folder: Path, context: AppContext
) -> tuple[ValidatedRequest, Body]:
    """Add the takes that paths name to the files of the body, as if the client had sent them.

    Other paths are checked. A file of the form is used instead of a path. Raises Problem 400, and
    StorageError.
    """
    files = dict(body.files)
    for field in FILES:
        name = f"{field}_path"
        path = getattr(checked.request, name)
        if not path or field in files:
            continue
        take = take_of(path)
        if take is None:
            await _check_path(field, path, context.settings)
            continue
        files[field] = await _fetch(name, take, folder / field, context)
        request = checked.request.model_copy(update={name: None})
        checked = replace(checked, request=request, sent=checked.sent - {name})
    return checked, replace(body, files=files)


async def _check_path(field: str, path: str, settings: Settings) -> None:
    try:
        os.close(await asyncio.to_thread(open_under, path, settings.audio_root_dirs))
    except PathRefused as error:
        raise Problem(
            ProblemCode.PATH_REFUSED,
            f"{field}_path is refused: {error} Send the file itself, as {field} of a "
            "multipart/form-data body, or the path of a take of this service.",
        ) from None


async def _fetch(name: str, take_name: tuple[str, str], out: Path, context: AppContext) -> Upload:
    """A take, copied to ``out``."""
    try:
        _, take = await find_take(*take_name, context)
        await context.artifacts.fetch(take.key, out)
    except (JobNotFound, JobExpired, ArtifactMissing, Problem):
        raise Problem(
            ProblemCode.PATH_REFUSED, f"{name} names a take of this service that does not exist."
        ) from None
    return Upload(out, take.bytes, take.sha256)
