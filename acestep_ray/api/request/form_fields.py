"""What the names and values of a form mean, whether it is urlencoded or multipart."""

import re
from collections.abc import Iterable

from acestep_ray.api.request.aliases import LIST_NAMES, NESTED_NAMES, not_given

CHARSET = "_charset_"
"""The field in which a form names the charset of its texts (RFC 7578, section 4.6)."""

_BRACKETS = re.compile(r"(\w+)\[(\w*)\]", re.ASCII)


def split_name(name: str) -> tuple[str, str | None]:
    """``seed[]`` as ``seed`` and "", ``metas[bpm]`` as ``metas`` and "bpm", other names unchanged.

    PHP, jQuery, axios and others write lists and objects into forms in this way.
    """
    match = _BRACKETS.fullmatch(name)
    return (match[1], match[2]) if match else (name, None)


def gather(pairs: Iterable[tuple[str, str]]) -> tuple[dict[str, object], tuple[str, ...]]:
    """The fields of a form, and the names that were sent more than once: their first value is used.

    A field that may be a list becomes one if it was sent more than once or with brackets. Metadata
    with brackets become an object.
    """
    fields: dict[str, object] = {}
    lists: dict[str, list[str]] = {}
    objects: dict[str, dict[str, str]] = {}
    repeated: dict[str, None] = {}
    for name, value in pairs:
        base, key = split_name(name)
        if base in LIST_NAMES:
            lists.setdefault(base, []).append(value)
        elif base in NESTED_NAMES and key:
            if key in objects.setdefault(base, {}):
                repeated[name] = None
            objects[base].setdefault(key, value)
        elif name in fields:
            repeated[name] = None
        else:
            fields[name] = value
    for name, values in lists.items():
        given = [value for value in values if not not_given(value, form=True)]
        if given:
            fields[name] = given if len(given) > 1 else given[0]
    for name, members in objects.items():
        if name in fields:
            repeated[name] = None
        fields.setdefault(name, members)
    return fields, tuple(repeated)
