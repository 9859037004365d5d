"""Values as upstream's clients write them -> fields that the native check reads.

Only the form is changed here: words for "nothing" and for booleans, 0 for "choose for me", units
(lenient_values.py), nested objects as text. The native check decides whether a value is legal.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from acestep_ray.api.middleware.authentication import BODY_KEY
from acestep_ray.api.request.aliases import ALIASES, IGNORED_NAMES, NESTED_NAMES, REFUSED_NAMES
from acestep_ray.api.request.coercion import FALSE, TRUE, Reason, real
from acestep_ray.api.request.generate_request import GenerateRequest
from acestep_ray.api.request.unsupported_fields import asks
from acestep_ray.api.request.validation import shown_names
from acestep_ray.api.upstream.lenient_values import usual_form

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
CANONICAL = {
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


def read_fields(raw: Mapping[str, object], most_takes: int | None = None) -> LenientFields:
    """Convert the values of a body, and of the objects nested in it, to the native form.
    ``most_takes``: more takes, and more seeds, become that many; None: they are left as they are.
    """
    found = LenientFields()
    objects, found.warnings = flat_objects(raw)
    top = {name: value for name, value in raw.items() if name not in NESTED_NAMES}
    found.fields = _level(found, top, most_takes)
    for spelling, members in objects.items():
        found.fields[spelling] = _level(found, members, most_takes)
    return found


def flat_objects(raw: Mapping[str, object]) -> tuple[dict[str, dict[str, object]], list[str]]:
    """The nested objects of a body by their names, and warnings. An object has the fields of those
    that are nested in it, too; its own fields have priority."""
    objects: dict[str, dict[str, object]] = {}
    warnings: list[str] = []
    for outer in [name for name in NESTED_NAMES if name in raw]:
        flat: dict[str, object] = {}
        came: dict[str, tuple[str, str]] = {}
        waiting = [(outer, raw[outer])]
        while waiting:
            path, value = waiting.pop(0)
            members = read_object(value)
            if members is None:
                warnings.append(f"{path} is not an object or its JSON text, and not used.")
                continue
            waiting += [(f"{path}.{one}", members[one]) for one in NESTED_NAMES if one in members]
            for name, one in members.items():
                own = CANONICAL.get(name, name)
                if name in NESTED_NAMES or is_nothing(own, one):
                    continue
                there, used = came.setdefault(own, (path, name))
                if there == path:
                    flat[name] = one
                elif isinstance(one, list | dict) or one != flat[used]:
                    unused, instead = f"{path}.{name}", f"{there}.{used}"
                    warnings.append(
                        f"{shown_names([unused])} is not used: {shown_names([instead])} came too."
                    )
        if flat:
            objects[outer] = flat
    return objects, warnings


def _level(
    found: LenientFields, raw: Mapping[str, object], most_takes: int | None
) -> dict[str, object]:
    """The fields of the body itself, or of one object in it."""
    kept: dict[str, object] = {}
    for spelling, sent in raw.items():
        name = CANONICAL.get(spelling, spelling)
        value, warning = usual_form(name, sent, most_takes)
        if name == BODY_KEY or is_nothing(name, value):
            continue
        value = _rewritten(name, value)
        if name in REFUSED_NAMES.values():
            if _asks(name, value):
                found.asked.setdefault(name, value)
            continue
        if warning:
            found.warnings.append(warning)
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


def read_flag(value: object) -> bool | None:
    """A boolean, or a word for one; None if it is neither."""
    word = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    word = _YES_NO.get(word, word)
    return True if word in TRUE else False if word in FALSE else None


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
