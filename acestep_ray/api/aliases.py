"""Other names that clients of later versions of the same routes send for our fields.

A field's own name wins over its aliases, those win in the order of the table, and all of them win
over the nested objects. What loses is reported, so that nothing is dropped in silence.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from acestep_ray.api.fields import GenerateRequest
from acestep_ray.api.kinds import FALSE

NESTED = ("metas", "metadata", "user_metadata")
NESTED_FIELDS = ("bpm", "audio_duration", "key_scale", "time_signature", "vocal_language")
LATER = ("sample_query", "use_format")
"""Fields of a later step; until then a request that uses one is refused."""
FILES = ("src_audio", "reference_audio")
"""Names of the files of a multipart form; their text counterparts end in ``_path``."""
LEGAL = {
    **dict.fromkeys(
        NESTED, "an object with bpm, duration, keyscale, timesignature and language, or its JSON"
    ),
    **dict.fromkeys(LATER, "left out: it comes with a later version"),
    **dict.fromkeys(
        FILES, "a file of a multipart/form-data body: MP3, WAV, FLAC, Ogg Vorbis, Opus or AIFF"
    ),
}
"""What is accepted under the names that are no fields of GenerateRequest."""

_OTHER_NAMES = {
    "caption": ("prompt",),
    "use_5hz_lm": ("thinking", "use5HzLm"),
    "audio_duration": ("duration", "target_duration", "targetDuration"),
    "key_scale": ("keyscale",),
    "time_signature": ("timesignature",),
    "vocal_language": ("language",),
}


def camel(name: str) -> str:
    """``audio_duration`` as ``audioDuration``."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


ALIASES: dict[str, tuple[str, ...]] = {
    name: tuple(a for a in (*_OTHER_NAMES.get(name, ()), camel(name)) if a != name)
    for name in GenerateRequest.model_fields
}
"""Field -> its other names, the first that came wins."""
FILE_NAMES = {spelling: name for name in FILES for spelling in (name, camel(name))}
"""What a file may be called -> its name."""
TEXT_NAMES = frozenset(
    (
        *ALIASES,
        *(other for others in ALIASES.values() for other in others),
        *(spelling for name in (*NESTED, *LATER) for spelling in (name, camel(name))),
    )
)
"""All that a request's fields may be called, but for files."""


@dataclass
class Resolved:
    """``values`` by the fields' own names, ``sent_as`` the names they came under."""

    values: dict[str, object] = field(default_factory=dict)
    sent_as: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def resolve(fields: Mapping[str, object], *, form: bool) -> Resolved:
    """Bring every value that was sent under its field's own name.

    ``null``, and in a form an empty value, means that the field was not sent.
    """
    found = Resolved()
    left = {name: value for name, value in fields.items() if not _unset(value, form)}
    for name, others in ALIASES.items():
        _take(found, left, name, (name, *others))
    for nested in NESTED:
        _take_nested(found, left, nested)
    for name in LATER:
        for spelling in (name, camel(name)):
            if spelling in left and _asks(left.pop(spelling)):
                found.errors[name] = f"{spelling} is not served yet; leave it out."
    for name in FILES:
        for spelling in (name, camel(name)):
            if spelling in left:
                del left[spelling]
                found.errors[name] = (
                    f"{spelling} must be a file of a multipart/form-data body "
                    f'(curl -F "{name}=@song.mp3"); for a file on the server use {name}_path.'
                )
    found.unknown += list(left)
    return found


def _take(
    found: Resolved, left: dict[str, object], name: str, spellings: tuple[str, ...], path: str = ""
) -> None:
    """Move the first of ``spellings`` that came into ``found``, and report the others."""
    for spelling in spellings:
        if spelling not in left:
            continue
        value = left.pop(spelling)
        if name in found.values:
            found.warnings.append(f"{path}{spelling} is not used: {found.sent_as[name]} came too.")
        else:
            found.values[name] = value
            found.sent_as[name] = path + spelling


def _take_nested(found: Resolved, left: dict[str, object], nested: str) -> None:
    """Metadata as an object, or as the text of one. "N/A" stands for unknown there."""
    for spelling in dict.fromkeys((nested, camel(nested))):
        if spelling not in left:
            continue
        value = left.pop(spelling)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                value = None
        if not isinstance(value, dict):
            found.errors[nested] = (
                f"{spelling} must be an object with bpm, duration, keyscale, timesignature and "
                "language."
            )
            continue
        inner = {str(k): v for k, v in value.items() if not _unset(v, form=True) and v != "N/A"}
        for name in NESTED_FIELDS:
            _take(found, inner, name, (name, *ALIASES[name]), f"{spelling}.")
        found.unknown += [f"{spelling}.{name}" for name in inner]


def _unset(value: object, form: bool) -> bool:
    return value is None or (form and value == "")


def _asks(value: object) -> bool:
    """Whether the value turns a field on: anything but false, "no", 0, "" and empty lists."""
    if isinstance(value, str):
        return value.strip().lower() not in FALSE | {""}
    return bool(value)
