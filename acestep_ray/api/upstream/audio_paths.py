"""Audio that upstream's clients name by a path: of a take, or of a file on the server."""

import asyncio
import os
import re
from collections.abc import Container
from urllib.parse import unquote

from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.request.aliases import FILES
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.audio.ingest.allowed_paths import PathRefused, open_under
from acestep_ray.settings import Settings

_TAKE = re.compile(
    r"(?:.*[/=])?(?P<job>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/(?P<name>[0-9]{1,3}\.[a-z0-9]+)",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)


def take_of(path: str) -> tuple[str, str] | None:
    """Job id and name (``1.mp3``) of the take that a path or URL of this service ends with; None if
    it ends with none, or goes up in folders."""
    path = unquote(path.strip())  # a part of a URL, as a client may cut it out
    match = _TAKE.fullmatch(path)
    if match is None or ".." in path.split("/"):
        return None
    return match["job"].lower(), match["name"]


async def check_audio_paths(
    request: GenerateRequest, files: Container[str], settings: Settings
) -> None:
    """Refuse paths that cannot be used. A file of the form wins over a path.

    Raises Problem 400.
    """
    for field in FILES:
        path = getattr(request, f"{field}_path")
        if not path or field in files:
            continue
        cure = f"Send the file itself, as {field} of a multipart/form-data body."
        if take_of(path):
            raise Problem(
                ProblemCode.PATH_REFUSED,
                f"{field}_path names a take of this service; takes cannot be used by path yet. "
                f"{cure}",
            )
        try:
            os.close(await asyncio.to_thread(open_under, path, settings.audio_root_dirs))
        except PathRefused as error:
            raise Problem(
                ProblemCode.PATH_REFUSED, f"{field}_path is refused: {error} {cure}"
            ) from None
