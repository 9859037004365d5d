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
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.validation import check
from acestep_ray.api.upstream.lenient_fields import (
    TEXT_NAMES,
    flat_objects,
    is_nothing,
    read_fields,
    read_flag,
)
from acestep_ray.api.upstream.used_values import LM_CHOOSES, used
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
_WRITTEN = frozenset({"bpm", "key_scale", "time_signature", "audio_duration", "vocal_language"})
"""What the language model writes if it was not sent."""
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
    own: dict[str, tuple[str, object]] = {}
    objects, warnings = flat_objects(raw)
    top = {name: value for name, value in raw.items() if name not in NESTED_NAMES}
    fields = _separated(top, "", own, warnings)
    for name, members in objects.items():
        fields[name] = _separated(members, f"{name}.", own, warnings)
    lenient = read_fields(fields)
    checked = check(Body(lenient.fields, False, {}, ""), limits)
    if wrong := [error for error in checked.errors if error.field in _TEXTS]:
        raise invalid_values(wrong)
    left_out = [f"{error.detail} {_used_instead(error.field)}" for error in checked.errors]
    query, shortened = _query(own["query"][1] if "query" in own else None)
    path, value = own.get("instrumental", ("", False))
    instrumental = read_flag(value)
    if instrumental is None:
        left_out.append(f"{path} must be true or false. false is used.")
    return SongFields(
        checked.request,
        checked.sent,
        query,
        bool(instrumental),
        [*warnings, *lenient.warnings, *checked.warnings, *left_out, *shortened],
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


def _separated(
    raw: Mapping[str, object], path: str, own: dict[str, tuple[str, object]], warnings: list[str]
) -> dict[str, object]:
    """The fields of the native request; those in ``_OWN`` are put into ``own``, with the names
    under which they came. A value that is not used, because the field came under another name, is a
    warning.
    """
    native: dict[str, object] = {
        name: value for name, value in raw.items() if name not in {*_OWN, *_LM_NAMES}
    }
    for name, value in raw.items():
        if name in native or is_nothing(name, value):
            continue
        if name in _OWN:
            used, other = own.setdefault(_OWN[name], (path + name, value))
        else:
            used, other = path + _LM_NAMES[name], native.setdefault(_LM_NAMES[name], value)
        if other is not value and (isinstance(value, list | dict) or other != value):
            warnings.append(f"{path}{name} is not used: {used} came too.")
    return native


def _used_instead(name: str) -> str:
    """What is used instead of the value of a field that was left out, as a sentence."""
    if name in _WRITTEN:
        return LM_CHOOSES
    if name == "lm_temperature":
        return used(TEMPERATURE)
    if name == "seed":
        return "A seed is drawn."
    return "It is left out."


def _query(sent: object) -> tuple[str, list[str]]:
    """The description as text, and a warning if it was too long."""
    text = sent if isinstance(sent, str) else "" if sent is None else json.dumps(sent)
    text = text.replace("\0", "").encode("utf-8", "ignore").decode().strip()
    if len(text) <= _QUERY_CHARACTERS:
        return text, []
    return text[:_QUERY_CHARACTERS], [f"query is cut to {_QUERY_CHARACTERS:,} characters."]
