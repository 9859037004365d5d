"""Raw values -> checked values. The errors name every wrong field and what it accepts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from acestep_ray.api.problems import FieldError, printable
from acestep_ray.api.request.aliases import LEGAL, resolve
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.coercion import Reason
from acestep_ray.api.request.generate_request import FIELDS, GenerateRequest, api_name
from acestep_ray.settings import Limits

_MOST_NAMES = 20
_LONGEST_NAME = 60


@dataclass(frozen=True)
class ValidatedRequest:
    """``request`` has defaults for the fields that were not sent or are in ``errors``."""

    request: GenerateRequest
    sent: frozenset[str]
    sent_as: dict[str, str]
    errors: tuple[FieldError, ...]
    warnings: tuple[str, ...]


def check(body: Body, limits: Limits) -> ValidatedRequest:
    """Check every value by itself; job_rules.admit checks several values together."""
    found = resolve(body.fields, form=body.form)
    for name in body.files:
        found.errors.pop(name, None)  # a text field of the same name: the file is used instead
    raw = found.values
    context = {"limits": limits}
    errors = [field_error(name, detail, limits) for name, detail in found.errors.items()]
    try:
        request = GenerateRequest.model_validate(raw, context=context)
    except ValidationError as invalid:
        wrong: dict[str, Any] = {}
        for error in invalid.errors(include_url=False):
            wrong.setdefault(str(error["loc"][0]), error)
        for name, error in wrong.items():
            errors.append(_explain(name, found.sent_as[name], raw[name], error, limits))
        good = {k: v for k, v in raw.items() if k not in wrong}
        request = GenerateRequest.model_validate(good, context=context)
    warnings = [*found.warnings]
    if body.repeated:
        warnings.insert(
            0, f"Sent more than once, only the first is used: {shown_names([*body.repeated])}."
        )
    if found.lost:
        warnings.insert(0, f"Not served yet, ignored: {shown_names(found.lost)}.")
    if unknown := [*found.unknown, *body.ignored]:
        warnings.insert(0, f"Unknown fields, ignored: {shown_names(unknown)}.")
    return ValidatedRequest(
        request=request,
        sent=frozenset(map(api_name, request.model_fields_set)),
        sent_as=found.sent_as,
        errors=tuple(errors),
        warnings=tuple(warnings),
    )


def legal_values(name: str, limits: Limits) -> str:
    """What a field or a file accepts, in words that complete "FIELD must be"."""
    if name in LEGAL:
        return LEGAL[name]
    extra = FIELDS[name].json_schema_extra
    assert isinstance(extra, dict)
    words = str(extra["x-legal"])
    return words.replace("{duration}", f"{limits.duration:g}").replace(
        "{batch_size}", str(limits.batch_size)
    )


def field_error(name: str, reason: str, limits: Limits) -> FieldError:
    """An entry for a field whose value is legal by itself but not in this request."""
    return FieldError(name, reason, legal_values(name, limits))


def _explain(
    name: str, sent_as: str, value: object, error: dict[str, Any], limits: Limits
) -> FieldError:
    legal = legal_values(name, limits)
    called = name if sent_as == name else f"{name} (sent as {sent_as})"
    detail = f"{called} must be {legal}; got {_shown(value)}."
    reason = error.get("ctx", {}).get("error")
    if isinstance(reason, Reason):
        detail += f" {reason}"
    return FieldError(name, detail, legal)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…")


def shown_names(names: Iterable[str]) -> str:
    """Names that a client chose, as one line for messages and logs; the first twenty, shortened."""
    names = [name or "(no name)" for name in names]
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in names]
    more = len(names) - _MOST_NAMES
    # They are stored with the job and logged: no half characters, no NULs, at which SQLite ends
    # texts, and no line breaks.
    text = printable(", ".join(shown[:_MOST_NAMES])).replace("\0", "\\0")
    text = text.replace("\n", "\\n").replace("\r", "\\r")
    return text + (f" and {more} more" if more > 0 else "")


class ValidationReport:
    """The first error of each field, and the warnings in the order in which they were found."""

    def __init__(self, checked: ValidatedRequest, limits: Limits) -> None:
        self.errors: dict[str, FieldError] = {error.field: error for error in checked.errors}
        self.warnings = list(checked.warnings)
        self._limits = limits

    def refuse(self, name: str, detail: str, legal: str = "") -> None:
        """Add an error for a field whose value is legal by itself but not in this request.
        ``legal``: the values that are legal in this request, if these are not all of the field."""
        error = field_error(name, detail, self._limits)
        self.errors.setdefault(name, replace(error, legal=legal) if legal else error)

    def warn(self, text: str) -> None:
        """Add a warning for a value that is accepted but not used, or not used as the client may
        expect."""
        self.warnings.append(text)
