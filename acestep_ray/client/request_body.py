"""From the keywords of ``generate`` to the body of its request."""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from acestep_ray.client.fields import GenerateFields
from acestep_ray.client.uploads import Body, FormBody, JsonBody, upload_of

FILES = ("src_audio", "reference_audio")
_FIELDS = frozenset(GenerateFields.__annotations__)
_NO_VALUE = ("null", "None", "undefined")
"""Texts that the service takes for a missing value in a form: JavaScript and Python write them."""


def check_names(fields: Mapping[str, object]) -> None:
    """Raise TypeError for a keyword that is no field, as a call of any function does."""
    for name in fields:
        if name not in _FIELDS:
            similar = difflib.get_close_matches(name, _FIELDS, 1)
            hint = f"; did you mean {similar[0]!r}?" if similar else ""
            raise TypeError(f"generate() got an unexpected keyword argument {name!r}{hint}")


def request_body(fields: Mapping[str, object]) -> Body:
    """The body: JSON, or a form if there are files. Fields that are None are not sent.

    Raises TypeError and ValueError for what no request can hold, and OSError of files.
    """
    check_names(fields)
    given = {name: _plain(value) for name, value in fields.items() if value is not None}
    uploads = {name: upload_of(name, given.pop(name)) for name in FILES if name in given}
    if not uploads:
        return JsonBody(json.dumps(given, allow_nan=False).encode())
    return FormBody({name: _form_text(name, value) for name, value in given.items()}, uploads)


def _plain(value: object) -> Any:
    """A value that JSON can hold, of what the types of the fields allow."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray | tuple):
        return list(value)
    return value


def _form_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    if value in _NO_VALUE:
        raise ValueError(f"{name} cannot be {value!r} in a request that has a file.")
    return value
