"""How a raw value of a request becomes a checked one, by kind: text, numbers, booleans, choices.

JSON may contain numbers and booleans as strings, and a form contains only strings, so each kind
reads both. A validator raises ValueError if the value is not of its kind. The legal values of a
field are described only in its ``x-legal`` text. ``Reason`` adds why a value is not legal.
"""

import json
import math
import re
from collections.abc import Callable

from pydantic import BeforeValidator

TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off"})

# float() also reads "1_000", "infinity", "nan" and digits of other scripts; these are refused.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_LONGEST_NUMBER = 64


class Reason(ValueError):
    """A sentence that explains more than the field's legal values."""


def text(value: object) -> str:
    """A string that UTF-8 and SQLite can hold."""
    if not isinstance(value, str):
        raise Reason("It must be a string.")
    if "\0" in value:
        raise Reason("It holds a NUL character.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Reason("It holds half of a surrogate pair, which is not a character.") from None
    return value


def listed(value: object) -> object:
    """A list if the value is its JSON text, as forms send it; any other value unchanged."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            parsed = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return parsed if isinstance(parsed, list) else value
    return value


def real(value: object) -> float:
    """A finite number."""
    if isinstance(value, str):
        stripped = value.strip()
        if len(stripped) > _LONGEST_NUMBER or not _NUMBER.fullmatch(stripped):
            raise ValueError("not a number")
        value = float(stripped)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError("too large") from None
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def whole(value: object) -> int:
    """A number without a fraction: 120, "120" and 120.0, not 120.5."""
    number = real(value)
    if not number.is_integer():
        raise ValueError("not whole")
    return int(number)


def flag(value: object) -> bool:
    """true/false, 1/0, yes/no, on/off in any case."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise ValueError("not a boolean")


def choice(*options: str) -> BeforeValidator:
    """One of a few words, in any case."""

    def choose(value: object) -> str:
        word = text(value).strip().lower()
        if word not in options:
            raise ValueError("not among the options")
        return word

    return BeforeValidator(choose)


def spelled(normalise: Callable[[str], str | None]) -> BeforeValidator:
    """A word in the model's spelling; ``normalise`` returns it, or None for an unknown word."""

    def spell(value: object) -> str:
        found = normalise(str(whole(value)) if isinstance(value, int | float) else text(value))
        if found is None:
            raise ValueError("unknown")
        return found

    return BeforeValidator(spell)


TEXT = BeforeValidator(text)
REAL = BeforeValidator(real)
WHOLE = BeforeValidator(whole)
FLAG = BeforeValidator(flag)
