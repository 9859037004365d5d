"""The parameters of the tools that make a song, and the fields of the API that they become."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from acestep_ray.cli.api_fields import check_field

Caption = Annotated[
    str, Field(description="What it is like: style, mood, instruments, voice.", max_length=4000)
]
Lyrics = Annotated[
    str,
    Field(
        description="What is sung, with section tags such as [Verse] and [Chorus] on lines of "
        "their own. Empty: instrumental.",
        max_length=20_000,
    ),
]
Description = Annotated[
    str,
    Field(
        description="Instead of caption and lyrics: the song in a few words; the service's "
        "language model writes both."
    ),
]
Plan = Annotated[
    bool,
    Field(
        description="Let the service's language model plan the song first: slower, often better."
    ),
]
Seconds = Annotated[float | None, Field(description="Length of a take, seconds.")]
Bpm = Annotated[int | None, Field(description="Beats per minute, 30 to 300.")]
Key = Annotated[str | None, Field(description="Such as C major or Am.")]
Language = Annotated[str | None, Field(description="Of the lyrics, a code such as en or zh.")]
Takes = Annotated[int, Field(description="How many versions to make, 1 to 8.")]
Seed = Annotated[
    str | None, Field(description="One number, or one per take with commas, to repeat takes.")
]
Format = Annotated[str | None, Field(description="mp3 (the default), wav, flac, opus, ...")]
Source = Annotated[
    str,
    Field(description="Path of an audio file of this machine, or JOB_ID/TAKE of an earlier job."),
]
Others = Annotated[
    dict[str, Any] | None,
    Field(description="Any other fields of POST /v1/music/generate, by their names in the API."),
]

PARAMETER_OF = {
    "sample_query": "description",
    "use_5hz_lm": "plan",
    "audio_duration": "seconds",
    "key_scale": "key",
    "vocal_language": "language",
    "batch_size": "takes",
    "use_random_seed": "seed",
    "repainting_start": "start",
    "repainting_end": "end",
    "audio_cover_strength": "strength",
    **dict.fromkeys(("src_audio", "src_job_id", "src_take"), "source"),
}
"""Field of the API -> the parameter that sets it, if it has another name."""


def fields_of(others: Mapping[str, Any] | None, **values: Any) -> dict[str, Any]:
    """The fields of the API. Raises ValueError for one that is set twice or does not exist. Empty
    texts count as not given."""
    given = {name: value for name, value in values.items() if value not in (None, "")}
    if "seed" in given:
        given["use_random_seed"] = False
    for name in others or {}:
        check_field(name)
        if name in given:
            parameter = PARAMETER_OF.get(name, name)
            raise ValueError(f"{name} is set twice, by {parameter} and by others.")
    given |= others or {}
    for name in ("src_audio", "reference_audio"):
        if isinstance(given.get(name), str):
            given[name] = Path(given[name])
    return given
