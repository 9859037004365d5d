"""The keywords of ``generate`` are the fields of the API: no more, no fewer, of the same types."""

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest

from acestep_ray.client import AsyncClient, AudioFile, Client, GenerateFields

ROOT = Path(__file__).parents[3]
SCHEMAS = json.loads((ROOT / "docs" / "openapi.json").read_text())["components"]["schemas"]
FILES = {"src_audio", "reference_audio"}
API = {
    name: schema
    for name, schema in SCHEMAS["GenerateRequest"]["properties"].items()
    if "Not served yet: it is refused" not in schema["description"]
}
HINTS = get_type_hints(GenerateFields)

NAMES = {str: "string", bool: "boolean", int: "integer", float: "number"}


def json_types(schema: Mapping[str, Any]) -> set[str]:
    """What a schema accepts, as texts; ``array of integer``, ``one of a, b``."""
    if "anyOf" in schema:
        return set().union(*map(json_types, schema["anyOf"]))
    if "enum" in schema:
        return {"one of " + ", ".join(schema["enum"])}
    if schema["type"] == "array":
        return {f"array of {kind}" for kind in json_types(schema["items"])}
    return {schema["type"]}


def python_types(hint: Any) -> set[str]:
    """The same of a type hint."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return set().union(*map(python_types, arguments))
    if origin is Literal:
        return {"one of " + ", ".join(arguments)}
    if origin is Sequence:
        return {f"array of {kind}" for kind in python_types(arguments[0])}
    if origin is Mapping:
        return {"object"}
    return {"null"} if hint is NoneType else {NAMES[hint]}


def test_every_field_of_the_api_is_a_keyword_and_no_other() -> None:
    assert GenerateFields.__annotations__.keys() == API.keys() | FILES


def test_files_of_the_api_are_keywords() -> None:
    assert SCHEMAS["GenerateMultipart"]["properties"].keys() >= FILES
    for name in FILES:
        assert set(get_args(HINTS[name])) == {*get_args(AudioFile), NoneType}


@pytest.mark.parametrize("name", API)
def test_a_keyword_has_the_type_of_its_field(name: str) -> None:
    """None stands for the default, as null does in JSON."""
    assert python_types(HINTS[name]) == json_types(API[name]) | {"null"}


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_help_and_notebooks_show_every_keyword(kind: type[Client]) -> None:
    parameters = inspect.signature(kind.generate).parameters
    assert parameters.keys() == {"self", "idempotency_key", *GenerateFields.__annotations__}
