"""Schema keywords that the fields of a request have in common."""

from typing import Any

from pydantic import WithJsonSchema


def legal(words: str, **schema: Any) -> dict[str, Any]:
    """Schema keywords: the legal values in words, and others that do not follow from the types."""
    return {"x-legal": words, **schema}


def any_of(*schemas: dict[str, Any]) -> WithJsonSchema:
    """The schema of a field that takes values of several kinds."""
    return WithJsonSchema({"anyOf": list(schemas)})


FLAG_WORDS = legal("true or false (in a form also 1/0, yes/no, on/off)")
