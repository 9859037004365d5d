"""Examples in the OpenAPI document for fields that hold other schemas, made from those schemas'."""

from typing import Any

_REF = "#/components/schemas/"


def fill_examples(schemas: dict[str, Any]) -> None:
    """Give every property that refers to a schema the first example of each of its fields."""
    for schema in schemas.values():
        for field in schema.get("properties", {}).values():
            if "examples" not in field and (example := _example(field, schemas)) is not None:
                field["examples"] = [example]


def _example(field: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """An example of a field, or None where there is none to be found."""
    if "examples" in field:
        return field["examples"][0]
    if "$ref" in field:
        of = schemas[field["$ref"].removeprefix(_REF)].get("properties", {})
        return {name: _example(inner, schemas) for name, inner in of.items()} or None
    if "items" in field:
        item = _example(field["items"], schemas)
        return None if item is None else [item]
    for kind in field.get("anyOf", ()):
        if (example := _example(kind, schemas)) is not None:
            return example
    return None
