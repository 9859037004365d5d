"""Why the value of an option is wrong, in plain words: typer shows the sentences of pydantic."""

from typing import Any

import typer

KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}
"""Beginning of pydantic's type of a mistake -> what the value should be."""


def in_plain_words(error: typer.TyperException) -> None:
    """Give a mistake that pydantic found a sentence with the value, and with the legal ones. Any
    other error is left as it is."""
    if not isinstance(error, typer.BadParameter) or error.__cause__ is None:
        return
    from pydantic import ValidationError

    if isinstance(error.__cause__, ValidationError):
        (first, *_) = error.__cause__.errors()
        if first["type"] == "value_error":  # typer's own words, such as of a choice or a file
            error.message = error.message.removeprefix("Value error, ")
        else:
            error.message = _sentence(first, error.param)


def _sentence(mistake: Any, param: Any) -> str:
    kind, limits = mistake["type"], mistake.get("ctx", {})
    about = getattr(param, "help", None) or ""
    value = str(mistake["input"])
    for key, words in (("ge", "at least"), ("le", "at most")):
        if key in limits:
            return f"{value} must be {words} {limits[key]:g}. {about}".rstrip()
    expected = next((KINDS[one] for one in KINDS if kind.startswith(one)), "such a value")
    return f"{value!r} is not {expected}. {about}".rstrip()
