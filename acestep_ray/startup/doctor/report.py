"""The results as a table for people, or as JSON for programs."""

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from acestep_ray import __version__
from acestep_ray.startup.doctor.result import Level, Result

Reported = Sequence[tuple[str, Result]]
SHORTEST_SECRET = 4
SECRET_NAME = re.compile("KEY|SECRET|PASSWORD|TOKEN", re.IGNORECASE)
HIDDEN = "***"
SHOWN = {Level.NOT_CHECKED: "-"}
"""Levels that are shown by another word than their value."""


def as_text(config: str, reported: Reported, width: int | None = None) -> str:
    """A line per result, and a last line that counts. ``width``: columns of the terminal; None:
    no line is broken."""
    head = max(len(name) for name, _ in reported) + 10
    lines = [f"acestep-ray {__version__}, config {config}"]
    for name, result in reported:
        start = f"{SHOWN.get(result.level, result.level.value):<9}{name}".ljust(head)
        line = f"{start} {' '.join(result.message.split())}"
        indent = " " * (head + 1)
        wrapped = (
            textwrap.wrap(
                line,
                width,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
            if width
            else [line]
        )
        lines += wrapped
    return "\n".join([*lines, _last_line(reported)]) + "\n"


def as_json(config: str, reported: Reported) -> str:
    """The same as one JSON object; names are added to it, never changed."""
    document: dict[str, Any] = {
        "version": __version__,
        "config": config,
        "exit_status": exit_status(reported),
        "results": [
            {"check": name, "level": result.level.value, "message": result.message}
            for name, result in reported
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def exit_status(reported: Reported) -> int:
    """1 if there is a problem, else 0."""
    return int(any(result.level is Level.PROBLEM for _, result in reported))


def without_secrets(text: str, environment: Mapping[str, str], secrets: Iterable[str]) -> str:
    """The text without the secrets of the settings and of the environment. No check writes one;
    this is for messages of libraries, which may."""
    found = {value for name, value in environment.items() if SECRET_NAME.search(name)}
    found.update(secrets)
    found.update(
        password
        for value in environment.values()
        if "://" in value and (password := _password(value))
    )
    for secret in sorted(found, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET and not secret.startswith("/"):
            text = text.replace(secret, HIDDEN)
    return text


def _password(url: str) -> str:
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""


def _last_line(reported: Reported) -> str:
    counts = {level: sum(result.level is level for _, result in reported) for level in Level}
    problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
    if not problems and not warnings:
        return "All is well."
    parts = [_count(problems, "problem"), _count(warnings, "warning")]
    return f"{' and '.join(filter(None, parts))}." if problems else f"No problem, {parts[1]}."


def _count(number: int, what: str) -> str:
    return "" if not number else f"{number} {what}{'' if number == 1 else 's'}"
