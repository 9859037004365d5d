"""What the commands write: results on stdout, everything else on stderr."""

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
WIDE = 10_000
"""Columns of a table that no terminal shows: nothing is cut off."""


def console(*, stderr: bool = False) -> "Console":
    """A console for tables and progress on stdout, or on stderr."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WIDE, highlight=False)


def is_interactive() -> bool:
    """Whether a person sees stderr and can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def show_line(text: str) -> None:
    """A message of this program on stderr."""
    typer.echo(f"acestep-ray: {text}", err=True)


def show_document(document: Any) -> None:
    """A document for scripts on stdout."""
    typer.echo(json.dumps(document, ensure_ascii=False, indent=2))


def one_line(text: str) -> str:
    """Text of a user on one line, without what a terminal would obey."""
    return _CONTROL.sub(" ", text).strip()
