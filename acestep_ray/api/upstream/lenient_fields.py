"""Values as upstream's clients write them -> fields that the native check reads.

Only the form is changed here: words for "nothing" and for booleans, 0 for "choose for me", nested
objects as text. The native check decides whether a value is legal.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from acestep_ray.api.middleware.authentication import BODY_KEY
from acestep_ray.api.request.aliases import ALIASES, IGNORED_NAMES, NESTED_NAMES, REFUSED_NAMES
from acestep_ray.api.request.coercion import TRUE, Reason, real
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.unsupported_fields import asks

TEXT_NAMES = frozenset({BODY_KEY})
"""Text fields that upstream has and the native request does not."""

_NOTHING = frozenset({"", "null", "undefined", "none", "n/a"})
_AUTOMATIC = frozenset({"bpm", "key_scale", "time_signature", "audio_duration", "batch_size"})
"""Fields where 0, a negative number or "auto" means that the service chooses."""
_YES_NO = {"y": "true", "n": "false", "t": "true", "f": "false"}
_FLAGS = frozenset(
    (
        *(name for name, one in GenerateRequest.model_fields.items() if one.annotation is bool),
        *("constrained_decoding", "use_cot_language", "dcw_enabled"),
        *("analysis_only", "full_analysis_only", "extract_codes_only"),
    )
)
_CANONICAL = {
    **IGNORED_NAMES,
    **REFUSED_NAMES,
    **{spelling: name for name, others in ALIASES.items() for spelling in (name, *others)},
}
"""Every accepted name of a field -> its own name."""


@dataclass
class LenientFields:
    """``fields``: for the native check, under the names as they were sent. ``sent``: their own
    names. ``asked``: fields that the native request refuses, by their own names, if their values
    ask for something."""

    fields: dict[str, object] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    asked: dict[str, object] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def read_fields(raw: Mapping[str, object]) -> LenientFields:
    """Convert the values of a body, and of the objects nested in it, to the native form."""
    found = LenientFields()
    found.fields = _level(found, {k: v for k, v in raw.items() if k not in NESTED_NAMES})
    for spelling in [name for name in NESTED_NAMES if name in raw]:
        members = read_object(raw[spelling])
        if members is None:
            found.warnings.append(f"{spelling} is not an object or its JSON text, and not used.")
        elif members:
            found.fields[spelling] = _level(found, members)
    return found


def _level(found: LenientFields, raw: Mapping[str, object]) -> dict[str, object]:
    """The fields of the body itself, or of one object in it."""
    kept: dict[str, object] = {}
    for spelling, sent in raw.items():
        name = _CANONICAL.get(spelling, spelling)
        if name == BODY_KEY or is_nothing(name, sent):
            continue
        value = _rewritten(name, sent)
        if name in REFUSED_NAMES.values():
            if _asks(name, value):
                found.asked.setdefault(name, value)
            continue
        kept.setdefault(spelling, value)
        found.sent.add(name)
    return kept


def is_nothing(name: str, value: object) -> bool:
    """Whether a value means that the field was not sent."""
    if value is None or value in ([], {}):
        return True
    word = value.strip().lower() if isinstance(value, str) else None
    if word in _NOTHING:
        return True
    if name == "repainting_end":
        return _number(value) == 0
    if name not in _AUTOMATIC:
        return False
    number = _number(value)
    return word == "auto" or (number is not None and number <= 0)


def _rewritten(name: str, value: object) -> object:
    word = value.strip().lower() if isinstance(value, str) else ""
    if name in _FLAGS and word in _YES_NO:
        return _YES_NO[word]
    if name == "vocal_language" and word == "auto":
        return "unknown"
    return value


def _asks(name: str, value: object) -> bool:
    """As ``asks``, but of texts only the words for true mean true, as in upstream's API."""
    if name in _FLAGS and isinstance(value, str):
        return value.strip().lower() in TRUE
    return asks(value)


def read_object(value: object) -> Mapping[str, object] | None:
    """A nested object, or the JSON text of one. Empty: it was not sent. None: it is no object."""
    if is_nothing("", value):
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else None


def _number(value: object) -> float | None:
    try:
        return real(value)
    except (Reason, ValueError):
        return None
