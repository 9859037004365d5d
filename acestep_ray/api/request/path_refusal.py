"""Why a path of audio is refused, in words that show no other path of the server."""

import re

from acestep_ray.audio.ingest.allowed_paths import OutsideRoots, PathRefused
from acestep_ray.settings import Settings

_URL = re.compile(r"\s*[a-z][a-z0-9+.-]+://", re.IGNORECASE | re.ASCII)
NOT_FETCHED = "URLs are not fetched."


def is_url(value: object) -> bool:
    """Whether a value is a URL with a host, such as https://example.org/a.mp3."""
    return isinstance(value, str) and _URL.match(value) is not None


def path_refusal(path: str, error: PathRefused, settings: Settings) -> str:
    """One or two sentences. The allowed folders are named as in the setting, which clients may
    know."""
    if not isinstance(error, OutsideRoots):
        return str(error)
    start = f"{NOT_FETCHED} {error}" if is_url(path) else str(error)
    return f"{start} It allows {settings.audio_root_names} (its setting ACESTEP_AUDIO_ROOTS)."
