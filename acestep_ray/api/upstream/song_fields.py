"""The fields of requests for a song's text, read leniently, and the language model's request."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import SystemRandom
from typing import Literal

from acestep_ray.api.middleware.authentication import BODY_KEY
from acestep_ray.api.problems import invalid_values
from acestep_ray.api.request.aliases import NESTED_NAMES
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.coercion import TRUE
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.validation import check
from acestep_ray.api.upstream.lenient_fields import (
    TEXT_NAMES,
    is_nothing,
    read_fields,
    read_object,
)
from acestep_ray.planner.metadata import DURATION_RANGE
from acestep_ray.planner.protocol import WriteRequest
from acestep_ray.settings import Limits

TEMPERATURE = 0.85
"""Upstream's default on these routes."""
_OWN = {
    **dict.fromkeys(("query", "sample_query", "sampleQuery", "description", "desc"), "query"),
    "instrumental": "instrumental",
}
"""Every name of a field that only these routes use -> its own name."""
_LM_NAMES = {"temperature": "lm_temperature", "top_p": "lm_top_p", "top_k": "lm_top_k"}
NAMES = TEXT_NAMES | {*_OWN, *_LM_NAMES, BODY_KEY}
"""Text fields of these routes that the native request does not have."""
_TEXTS = frozenset({"caption", "lyrics", "audio_code_string"})
_YES = TRUE | {"y", "t"}
_QUERY_CHARACTERS = 4000


@dataclass
class SongFields:
    """``request``: the fields of the native request; ``sent``: the names of those that were sent.
    ``query``: a description of the song."""

    request: GenerateRequest
    sent: frozenset[str]
    query: str
    instrumental: bool
    warnings: list[str] = field(default_factory=list)


def read_song(raw: Mapping[str, object], limits: Limits) -> SongFields:
    """Read the fields of a body. Values that cannot be used are left out, with warnings.

    Raises Problem 422 if a text cannot be used.
    """
    own: dict[str, object] = {}
    fields = _separated(raw, own)
    for name in NESTED_NAMES:
        if inner := read_object(fields.get(name)):
            fields[name] = _separated(inner, own)
    lenient = read_fields(fields)
    checked = check(Body(lenient.fields, False, {}, ""), limits)
    if wrong := [error for error in checked.errors if error.field in _TEXTS]:
        raise invalid_values(wrong)
    left_out = [f"{error.detail} The default is used." for error in checked.errors]
    query, shortened = _query(own.get("query"))
    return SongFields(
        checked.request,
        checked.sent,
        query,
        str(own.get("instrumental", "")).strip().lower() in _YES,
        [*lenient.warnings, *checked.warnings, *left_out, *shortened],
    )


def write_request(
    kind: Literal["sample", "format", "understand"], song: SongFields, model: str, limits: Limits
) -> WriteRequest:
    """The language model's request. The user's metadata are kept as they are."""
    request = song.request
    seconds = request.duration
    if seconds is not None and seconds < DURATION_RANGE[0]:
        song.warnings.append(
            f"duration is not used: the language model plans {DURATION_RANGE[0]} seconds at least."
        )
        seconds = None
    language = request.vocal_language if "vocal_language" in song.sent else "unknown"
    chosen = [] if request.use_random_seed else [seed for seed in request.seed if seed >= 0]
    return WriteRequest(
        kind=kind,
        model=model,
        query=song.query,
        instrumental=song.instrumental,
        caption=request.caption,
        lyrics=request.lyrics,
        codes=request.codes[0] if kind == "understand" else (),
        bpm=request.bpm,
        key_scale=request.key_scale,
        time_signature=request.time_signature,
        duration=seconds,
        vocal_language="" if language == "unknown" else language,
        max_duration=limits.duration,
        seed=chosen[0] if chosen else SystemRandom().randrange(2**32),
        temperature=request.lm_temperature if "lm_temperature" in song.sent else TEMPERATURE,
        top_k=request.lm_top_k or None,
        top_p=request.lm_top_p if 0 < (request.lm_top_p or 0) < 1 else None,
    )


def _separated(raw: Mapping[str, object], own: dict[str, object]) -> dict[str, object]:
    """The fields of the native request; those in ``_OWN`` are put into ``own``."""
    native: dict[str, object] = {}
    for name, value in raw.items():
        if name in _OWN:
            if not is_nothing(name, value):
                own.setdefault(_OWN[name], value)
        else:
            native.setdefault(_LM_NAMES.get(name, name), value)
    return native


def _query(sent: object) -> tuple[str, list[str]]:
    """The description as text, and a warning if it was too long."""
    text = sent if isinstance(sent, str) else "" if sent is None else json.dumps(sent)
    text = text.replace("\0", "").encode("utf-8", "ignore").decode().strip()
    if len(text) <= _QUERY_CHARACTERS:
        return text, []
    return text[:_QUERY_CHARACTERS], [f"query is cut to {_QUERY_CHARACTERS:,} characters."]
