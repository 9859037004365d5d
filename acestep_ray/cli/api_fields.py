"""Fields of the API that a user names: whether they exist, and whether they are a song."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

SONG_FIELDS = (
    *("caption", "lyrics", "sample_query", "sample_mode", "audio_code_string"),
    *("src_audio", "src_audio_path", "src_job_id"),
    *("reference_audio", "reference_audio_path", "reference_job_id"),
    *("metas", "meta", "metadata", "user_metadata", "param_obj"),  # objects that may hold others
)
"""Fields that tell what to make; all others tell only how."""


def is_field(name: str) -> bool:
    """Whether the API has a field of this name."""
    return name in _known()


def check_field(name: str) -> None:
    """Raise ValueError, a sentence, if it is not a field of the API."""
    if not is_field(name):
        similar = get_close_matches(name, _known(), n=1)
        hint = f" Is it {similar[0]}?" if similar else ""
        raise ValueError(f"{name} is not a field of the API.{hint}")


def names_a_song(fields: Mapping[str, Any]) -> bool:
    """Whether a request tells what to make: the service would make something of nothing, too."""
    return any(_is_given(fields.get(name)) for name in SONG_FIELDS)


def _known() -> Mapping[str, Any]:
    from acestep_ray.client import GenerateFields

    return GenerateFields.__annotations__


def _is_given(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false")
    return value is not None and value is not False
