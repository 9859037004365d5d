"""The config and the settings: mistakes, variables without effect, and which source wins."""

import difflib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from acestep_ray.settings import Settings
from acestep_ray.startup.doctor.consistency import inconsistencies
from acestep_ray.startup.doctor.result import Result, ok, problem, refusal, warning
from acestep_ray.startup.doctor.setup import Setup
from acestep_ray.startup.serve_config import configured, mistakes, read_document

PREFIX = "ACESTEP_"
OF_CLIENTS = frozenset({"ACESTEP_URL"})
"""Variables of the command line and the Python client."""
SHOWN_TEXTS = ("preset", "decoder", "planner", "model", "device", "dtype", "downloads")
"""Settings whose texts are shown; others may be secret or private."""


def check_config(setup: Setup) -> Iterator[Result]:
    """See Check."""
    wrong = list(refusal(lambda: read_document(setup.file)))
    wrong = wrong or [problem(mistake) for mistake in mistakes(setup.file)]
    if setup.config is None and not wrong:
        wrong = list(refusal(lambda: configured(setup.file, read_document(setup.file))))
    yield from wrong
    for name, meant in unknown_variables(os.environ).items():
        hint = f"; {meant} is a setting with a similar name" if meant else ""
        yield warning(
            f"{name} is not a setting and has no effect{hint}: correct the name, or unset it."
        )
    for name in sorted(os.environ):
        if name.upper() in variables() and not os.environ[name].strip():
            yield warning(
                f"{name} is empty, which counts as not set: give it a value, or unset it."
            )
    if setup.config is None:
        return
    yield from inconsistencies(setup.config)
    won = winners(os.environ, setup.config.application.get("args") or {})
    source = f" (the environment wins over the file: {', '.join(won)})" if won else ""
    yield ok(f"{setup.file.absolute()}{source}; data folder {setup.settings.data}")


def variables() -> set[str]:
    """The names of the variables of all settings, at all levels."""
    return set(_names(Settings, PREFIX))


def unknown_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables with this program's prefix that are not settings, each with a setting of a similar
    name; empty: there is none. pydantic ignores them without a message."""
    known = variables()
    tops = {name for name in known if "__" not in name.removeprefix(PREFIX)}
    found = {}
    for name in sorted(environment):
        first = name.upper().split("__")[0]
        # Below a known group, pydantic itself refuses what is unknown.
        if not name.upper().startswith(PREFIX) or first in tops or name in OF_CLIENTS:
            continue
        close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.75)
        found[name] = close[0] if close else ""
    return found


def winners(environment: Mapping[str, str], args: Mapping[str, Any]) -> list[str]:
    """Variables that set another value than the ``args`` of the file, as parts of a sentence."""
    found = []
    for name in sorted(environment):
        path = name.removeprefix(PREFIX).lower().split("__")
        if not name.startswith(PREFIX) or not environment[name].strip():
            continue
        there = _at(args, path)
        if there is None or str(there).lower() == environment[name].strip().lower():
            continue
        shown = path[-1] in SHOWN_TEXTS or isinstance(there, bool | int | float)
        found.append(f"{name}={environment[name]} over {there}" if shown else name)
    return found


def _at(args: Mapping[str, Any], path: list[str]) -> Any:
    value: Any = args
    for step in path:
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for field, info in model.model_fields.items():
        name = f"{prefix}{field.upper()}"
        yield name
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _names(kind, f"{name}__")
