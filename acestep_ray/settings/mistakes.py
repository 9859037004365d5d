"""What is wrong with a value, in plain words, from pydantic's report."""

from types import UnionType
from typing import Any, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "a text",
    "tuple": "a list",
    "list": "a list",
    "dict": "an object",
    "model": "an object",
    "mapping": "an object",
}
"""Beginning of the type of pydantic's error -> what is expected."""
BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def in_words(entry: ErrorDetails, model: type[BaseModel]) -> str:
    """The rest of a sentence that begins with the value's place in ``model``: it must be ..., with
    the range if there is one."""
    kind = entry["type"]
    field = _field(model, entry["loc"])
    if kind == "missing":
        return "it is missing"
    if kind in ("literal_error", "enum"):
        return f"it must be {entry['ctx']['expected']}"
    if kind in BOUNDS:
        words, name = BOUNDS[kind]
        bound = f"{words} {entry['ctx'][name]}"
        return f"it must be {_range(field) or bound}"
    expected = KINDS.get(kind.partition("_")[0])
    if expected and kind.endswith(("_type", "_parsing", "_from_float", "_number")):
        within = _range(field)
        of = "of " if within.startswith("at ") else ""
        return f"it must be {expected} {of}{within}".rstrip()
    return entry["msg"].removeprefix("Value error, ").replace("Input should", "it should")


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside ``Model``, ``Optional[Model]``, ``list[Model]`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, list, tuple):
        return next((m for m in map(model_in, get_args(annotation)) if m), None)
    return None


def _field(model: type[BaseModel], place: tuple[int | str, ...]) -> FieldInfo | None:
    """The field at a place, below lists and groups; None if there is none."""
    field: FieldInfo | None = None
    inside: type[BaseModel] | None = model
    for step in place:
        if isinstance(step, int):
            continue
        field = inside.model_fields.get(step) if inside else None
        inside = model_in(field.annotation) if field else None
    return field


def _range(field: FieldInfo | None) -> str:
    """Such as ``from 1 to 65535``; empty if every number is legal."""
    limits = {type(one): one for one in (field.metadata if field else ())}
    low, high = limits.get(Ge), limits.get(Le)
    if isinstance(low, Ge) and isinstance(high, Le):
        return f"from {low.ge} to {high.le}"
    found = (
        *((f"at least {low.ge}",) if isinstance(low, Ge) else ()),
        *(f"above {one.gt}" for one in limits.values() if isinstance(one, Gt)),
        *(f"below {one.lt}" for one in limits.values() if isinstance(one, Lt)),
        *((f"at most {high.le}",) if isinstance(high, Le) else ()),
    )
    return " and ".join(found)
