"""JSON of users, in which nothing is lost silently."""

import json
from typing import Any, NoReturn


class Ambiguous(ValueError):
    """It is JSON in form, but its meaning is not certain; the message is a sentence."""


def parsed(text: str) -> Any:
    """The value of a JSON text. Raises ValueError; of it Ambiguous for an object that has a key
    twice, of which ``json`` would drop one, and for NaN and Infinity, which are no JSON."""
    return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Ambiguous(f"the key {key} is there twice.")
        found[key] = value
    return found


def _no_number(text: str) -> NoReturn:
    raise Ambiguous(f"{text} is not a number.")
