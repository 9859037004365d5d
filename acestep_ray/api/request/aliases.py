"""Other names that clients of later versions of the same routes send for the fields.

A field's own name has priority over its aliases, these have priority in the order of the table, and
all of them have priority over the nested objects, which may hold any field. Values that are not
used are reported, so that nothing is dropped silently.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from acestep_ray.api.request.coercion import FALSE, TRUE
from acestep_ray.api.request.generate_request import FIELDS, GenerateRequest
from acestep_ray.api.request.path_refusal import NOT_FETCHED, is_url
from acestep_ray.api.request.unsupported_fields import (
    IGNORED,
    REFUSED,
    asks,
    is_lost,
)
from acestep_ray.audio.ingest.ffmpeg import READABLE, READABLE_BY_FFMPEG

NESTED = ("param_obj", "metas", "meta", "metadata", "user_metadata")
"""Objects, or the JSON text of one, whose fields are used if the request itself has none."""
FILES = ("src_audio", "reference_audio")
"""Names of the files of a multipart form; their text counterparts end in ``_path``."""
LEGAL = {
    **dict.fromkeys(NESTED, "an object of fields, such as bpm, duration and keyscale, or its JSON"),
    **dict.fromkeys(REFUSED, "left out: it is not served yet"),
    **dict.fromkeys(
        FILES,
        f"a file of a multipart/form-data body: {READABLE}; with ffmpeg on the server also "
        f"{READABLE_BY_FFMPEG}",
    ),
}
"""What is accepted under the names that are not fields of GenerateRequest."""

_OTHER_NAMES = {
    "caption": ("prompt", "tags"),
    "sample_query": ("description", "desc"),
    "use_format": ("format",),
    "use_5hz_lm": ("thinking", "use5HzLm"),
    "audio_duration": ("duration", "target_duration"),
    "key_scale": ("keyscale", "key"),
    "time_signature": ("timesignature",),
    "vocal_language": ("language",),
    "audio_cover_strength": ("cover_strength",),
    "audio_code_string": ("audio_codes",),
    "track_classes": ("instruments",),
    "use_cot_caption": ("cot_caption", "cot-caption"),
    "use_cot_language": ("cot_language", "cot-language"),
    "reference_audio_path": ("ref_audio_path",),
    "src_audio_path": ("ctx_audio_path", "source_audio_path"),
    "dcw_enabled": ("dcw",),
    "adapters": ("loras",),
    "lrc": ("get_lrc", "auto_lrc"),
    "scores": ("get_scores", "auto_score"),
    "model": ("model_name", "dit_model"),
}
_OTHER_FILES = {"src_audio": "ctx_audio", "reference_audio": "ref_audio"}


def camel(name: str) -> str:
    """``audio_duration`` as ``audioDuration``."""
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _spellings(*names: str) -> tuple[str, ...]:
    """Each name, and each in camelCase, once."""
    return tuple(dict.fromkeys((*names, *map(camel, names))))


ALIASES: dict[str, tuple[str, ...]] = {
    name: _spellings(name, *_OTHER_NAMES.get(name, ()))[1:] for name in FIELDS
}
"""Field -> its other names; the first one that was sent is used."""
FILE_NAMES = {spelling: name for name in FILES for spelling in _spellings(name, _OTHER_FILES[name])}
"""Every accepted name of a file -> its own name."""
REFUSED_NAMES = {spelling: name for name in REFUSED for spelling in _spellings(name)}
IGNORED_NAMES = {spelling: name for name in IGNORED for spelling in _spellings(name)}
NESTED_NAMES = {spelling: name for name in NESTED for spelling in _spellings(name)}
TEXT_NAMES = frozenset(
    (
        *ALIASES,
        *(other for others in ALIASES.values() for other in others),
        *REFUSED_NAMES,
        *IGNORED_NAMES,
        *NESTED_NAMES,
    )
)
"""Every accepted name of a request's fields, except files."""
_LISTS = [
    name
    for name, schema in GenerateRequest.model_json_schema()["properties"].items()
    if any(kind.get("type") == "array" for kind in schema.get("anyOf", ()))
]
TASK_LISTS = ("task_id_list", "taskIdList", "task_ids", "task_id")
"""Names of the list of tasks in POST /query_result."""
LIST_NAMES = frozenset(
    (*(spelling for name in _LISTS for spelling in (name, *ALIASES[name])), *TASK_LISTS)
)
"""Every accepted name of the fields that may hold a list."""


@dataclass
class Resolved:
    """``values``: by the fields' own names. ``sent_as``: the names under which they were sent.

    ``lost``: fields of the later API whose values ask for something that is not done.
    """

    values: dict[str, object] = field(default_factory=dict)
    sent_as: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def resolve(fields: Mapping[str, object], *, form: bool) -> Resolved:
    """Put every value that was sent under its field's own name.

    A value that stands for the default (``not_given``) means that the field was not sent. In a
    nested object, "N/A" means that too.
    """
    found = Resolved()
    left = {name: value for name, value in fields.items() if not not_given(value, form=form)}
    nested = [
        (spelling, _object(found, spelling, left.pop(spelling)))
        for spelling in NESTED_NAMES
        if spelling in left
    ]
    _resolve_level(found, left, "")
    for spelling, inner in nested:
        given = {
            str(k): v for k, v in inner.items() if not (not_given(v, form=form) or _unknown(v))
        }
        _resolve_level(found, given, f"{spelling}.")
    return found


def _resolve_level(found: Resolved, left: dict[str, object], path: str) -> None:
    """Put the request's own fields (``path`` is empty), or those of a nested object, into
    ``found``."""
    if is_file_type(left.get("format")):
        del left["format"]
        found.unknown.append(f"{path}format")
    for name, others in ALIASES.items():
        _take(found, left, name, (name, *others), path)
    for spelling in [spelling for spelling in REFUSED_NAMES if spelling in left]:
        if asks(left.pop(spelling)):
            name = REFUSED_NAMES[spelling]
            sentence = f"{path}{spelling} is not served yet: {REFUSED[name]}."
            found.errors.setdefault(name, sentence)
    for spelling in [spelling for spelling in FILE_NAMES if spelling in left]:
        url = is_url(left.pop(spelling))
        name = FILE_NAMES[spelling]
        found.errors[name] = (
            f"{path}{spelling} must be a file of a multipart/form-data body "
            f'(curl -F "{name}=@song.mp3"); for a file on the server use {name}_path.'
            f"{f' {NOT_FETCHED}' if url else ''}"
        )
    for spelling in [spelling for spelling in IGNORED_NAMES if spelling in left]:
        if is_lost(IGNORED_NAMES[spelling], left.pop(spelling)):
            found.lost.append(path + spelling)
    found.unknown += [path + name for name in left]


def _take(
    found: Resolved, left: dict[str, object], name: str, spellings: tuple[str, ...], path: str
) -> None:
    """Move the first of ``spellings`` that was sent into ``found``, and report the others."""
    for spelling in spellings:
        if spelling not in left:
            continue
        value = left.pop(spelling)
        if name not in found.values:
            found.values[name] = value
            found.sent_as[name] = path + spelling
        elif isinstance(value, list | dict) or value != found.values[name]:
            found.warnings.append(f"{path}{spelling} is not used: {found.sent_as[name]} came too.")


def _object(found: Resolved, spelling: str, value: object) -> Mapping[object, object]:
    """A nested object, or the text of one; empty, with an error, if it is not an object."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if isinstance(value, dict):
        return value
    name = NESTED_NAMES[spelling]
    found.errors[name] = f"{spelling} must be {LEGAL[name]}."
    return {}


def is_file_type(value: object) -> bool:
    """Whether a value of ``format``, another name of use_format, is the type of a file: every text
    except the words for true and false."""
    return isinstance(value, str) and value.strip().lower() not in TRUE | FALSE | {""}


def not_given(value: object, *, form: bool) -> bool:
    """Whether a value stands for the default: ``null`` or "", and in a form also the words that
    JavaScript and Python write for a missing value."""
    return value is None or value == "" or (form and value in ("null", "undefined", "None"))


def _unknown(value: object) -> bool:
    """Whether a value of metadata is "N/A" in any spelling, which means that it is not known."""
    return isinstance(value, str) and value.strip().upper() == "N/A"
