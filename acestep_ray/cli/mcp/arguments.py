"""The arguments of a call: unknown ones are refused, and what is wrong is in plain words."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from pydantic import ValidationError

from acestep_ray.cli.api_fields import is_field
from acestep_ray.cli.mcp.parameters import PARAMETER_OF

KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
"""Type in a JSON schema -> what it is for a reader."""

OTHER_NAMES = {
    **dict.fromkeys(("duration", "length", "audio_length"), "seconds"),
    **dict.fromkeys(("prompt", "style", "tags"), "caption"),
    **dict.fromkeys(("tempo", "beats_per_minute"), "bpm"),
    **dict.fromkeys(("n", "count", "variations"), "takes"),
    **dict.fromkeys(("file", "audio", "path"), "source"),
    **dict.fromkeys(("format", "file_type"), "audio_format"),
    "id": "job_id",
    "job": "job_id",
}
"""Names that assistants try -> the parameter that is meant."""


class StrictTool(Tool):
    """A tool that runs only with the arguments that its schema has: the SDK's own drops others, so
    that a misspelt one would not be noticed."""

    def model_post_init(self, context: Any, /) -> None:
        """Let the schema tell it, too."""
        super().model_post_init(context)
        self.parameters["additionalProperties"] = False

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> Any:
        """See Tool. Raises ToolError, with a line for each wrong argument."""
        known = self.parameters.get("properties", {})
        mistakes = [_unknown(name, self.name, known) for name in arguments if name not in known]
        try:
            self.fn_metadata.validate_arguments(arguments)
        except ValidationError as error:
            wrong = {str(one["loc"][0]): one for one in reversed(error.errors())}
            mistakes += [_wrong(name, one, known[name]) for name, one in reversed(wrong.items())]
        if mistakes:
            raise ToolError("\n".join(mistakes))
        return await super().run(arguments, context, convert_result)


def _unknown(name: str, tool: str, known: Mapping[str, Any]) -> str:
    if not known:
        return f"{tool} has no parameters; it got {name}."
    other = PARAMETER_OF.get(name) or OTHER_NAMES.get(name)
    if other in known:
        return f"{tool} has no parameter {name}. Is it {other}? It has {', '.join(known)}."
    if "others" in known and is_field(name):
        return f"{tool} has no parameter {name}. It is a field of the API: put it into others."
    similar = [] if name in OTHER_NAMES else get_close_matches(name, known, n=1)
    hint = f" Is it {similar[0]}?" if similar else ""
    return f"{tool} has no parameter {name}.{hint} It has {', '.join(known)}."


def _wrong(name: str, error: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    about = schema.get("description", "")
    if error["type"] == "missing":
        return f"{name} is missing. {about}".rstrip()
    value = json.dumps(error["input"], ensure_ascii=False, default=str)
    shown = value if len(value) <= 60 else f"{value[:60]}..."
    return f"{name} must be {legal(schema)}, and is {shown}. {about}".rstrip()


def legal(schema: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words."""
    if "anyOf" in schema:
        return " or ".join(map(legal, schema["anyOf"]))
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    limits = [
        f"{words} {schema[key]:,g}{unit}"
        for key, words, unit in (
            ("exclusiveMinimum", "above", ""),
            ("minimum", "from", ""),
            ("maximum", "to" if "minimum" in schema else "up to", ""),
            ("maxLength", "of up to", " characters"),
        )
        if key in schema
    ]
    return " ".join([KINDS.get(str(schema.get("type")), "a value"), *limits])
