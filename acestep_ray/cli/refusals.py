"""What a script gets on stdout if a command ends before the service has answered: an option or a
file is wrong, or Ctrl-C was pressed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

from acestep_ray.cli.exit_status import ExitStatus
from acestep_ray.cli.output import show_document
from acestep_ray.cli.plain_words import in_plain_words
from acestep_ray.cli.song_options import OPTION_OF
from acestep_ray.errors import ConfigurationError


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line has the option ``--json``; it is asked before the words are read,
    because what is wrong may be among them."""
    end = words.index("--") if "--" in words else len(words)
    return "--json" in words[:end]


@contextmanager
def refusals_as_documents(*, wanted: bool) -> Iterator[None]:
    """Show on stdout, as the document of docs/cli.md, what ends the block; then it goes on its
    way, in plain words."""
    try:
        yield
    except typer.TyperException as error:
        in_plain_words(error)
        if wanted and type(error).__name__ != "NoArgsIsHelpError":  # its message is the help
            show_document(_of_usage(error))
        raise
    except ConfigurationError as error:
        if wanted:
            show_document(_document(str(error), "invalid_configuration", ExitStatus.REFUSED))
        raise
    except KeyboardInterrupt:
        if wanted:
            show_document(_document("Interrupted.", "interrupted", ExitStatus.INTERRUPTED))
        raise


def _of_usage(error: typer.TyperException) -> dict[str, Any]:
    message = error.format_message()
    document = _document(message, "invalid_usage", error.exit_code)
    if option := _option(error):
        field = next((field for field, name in OPTION_OF.items() if name == option), None)
        detail = error.message or message
        document["errors"] = [{"field": field, "option": option, "detail": detail, "legal": None}]
    return document


def _option(error: typer.TyperException) -> str | None:
    """The option or argument that is wrong, as the user enters it."""
    if not isinstance(error, typer.BadParameter):
        return getattr(error, "option_name", None)
    hint = error.param_hint or (error.param.get_error_hint() if error.param else None)
    if not hint:
        return None
    first = hint.split(" / ")[0] if isinstance(hint, str) else hint[0]
    return first.strip("'")


def _document(error: str, code: str, status: int) -> dict[str, Any]:
    return {
        "error": error,
        "code": code,
        "exit_status": int(status),
        "http_status": None,
        "request_id": None,
        "errors": [],
    }
