"""How a call that did not succeed is shown, and which exit status it has."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from acestep_ray.cli.exit_status import ExitStatus
from acestep_ray.cli.output import show_document, show_line

if TYPE_CHECKING:
    from acestep_ray.client import ApiError

OTHER_OPTION = "--set {}"
"""The option for a field that has none of its own."""


@contextmanager
def shown_failures(*, as_json: bool, options: Mapping[str, str] | None = None) -> Iterator[None]:
    """Show an ApiError of the block, and end the command with its exit status.

    ``options``: field of the API -> the option that sets it. ``as_json``: also as a document on
    stdout.
    """
    from acestep_ray.client import ApiError

    try:
        yield
    except ApiError as error:
        status = exit_status(error)
        for line in lines_of(error, options or {}):
            show_line(line)
        if as_json:
            show_document(failure_document(error, status, options or {}))
        raise typer.Exit(status) from error


def exit_status(error: "ApiError") -> ExitStatus:
    """The exit status of a command that the error ended."""
    from acestep_ray.client import errors

    kinds = (
        (errors.JobFailed, ExitStatus.FAILED),
        (errors.DownloadFailed, ExitStatus.FAILED),
        (errors.AuthenticationFailed, ExitStatus.KEY_REFUSED),
        ((errors.NotFound, errors.Gone), ExitStatus.NOT_FOUND),
        (errors.RateLimited, ExitStatus.QUEUE_FULL),
        ((errors.InvalidRequest, errors.Conflict), ExitStatus.REFUSED),
    )
    found = (status for kind, status in kinds if isinstance(error, kind))
    return next(found, ExitStatus.UNREACHABLE)


def is_of_the_service(error: "ApiError") -> bool:
    """Whether another request would fail in the same way: it is not about one job."""
    return exit_status(error) in (ExitStatus.UNREACHABLE, ExitStatus.KEY_REFUSED)


def lines_of(error: "ApiError", options: Mapping[str, str], other: str = OTHER_OPTION) -> list[str]:
    """The error in sentences, one per line; wrong fields by the names of their ``options``, or by
    ``other`` with the field's name."""
    if not error.errors:
        return [detail_of(error)]
    return [
        _by_option(one.field, one.detail, {one.field: other.format(one.field), **options})
        for one in error.errors.values()
    ]


def detail_of(error: "ApiError") -> str:
    """The error in a sentence, in which the client's arguments have the names of options."""
    from acestep_ray.client import errors

    of_address = errors.ConnectionFailed | errors.ServiceUnavailable | errors.UnexpectedResponse
    if not isinstance(error, errors.AuthenticationFailed | of_address):
        return error.detail
    return error.detail.replace("base_url", "--url").replace("api_key.", "--api-key.")


def _by_option(field: str, detail: str, options: Mapping[str, str]) -> str:
    """A sentence about a field, with the names of options instead of those of fields.

    It begins with the option. Further on, only names with an underscore are replaced: others, such
    as seed, are words, too.
    """
    detail = detail.removeprefix(field) if detail.startswith(f"{field} ") else f": {detail}"
    for name, option in options.items():
        if "_" in name:
            detail = re.sub(rf"\b{name}\b", option, detail)
    return options[field] + detail


def failure_document(
    error: "ApiError", status: ExitStatus, options: Mapping[str, str]
) -> dict[str, Any]:
    """The error as JSON for scripts (docs/cli.md)."""
    return {
        "error": detail_of(error),
        "code": error.code,
        "exit_status": int(status),
        "http_status": error.status,
        "request_id": error.request_id,
        "errors": [
            {
                "field": one.field,
                "option": options.get(one.field, OTHER_OPTION.format(one.field)),
                "detail": one.detail,
                "legal": one.legal,
            }
            for one in error.errors.values()
        ],
    }
