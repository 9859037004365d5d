"""``acestep-ray batch songs.jsonl -o out/``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acestep_ray.cli.connection import Connection
from acestep_ray.cli.groups import SONGS
from acestep_ray.cli.option_groups import with_groups
from acestep_ray.cli.output import console, show_document, show_line

if TYPE_CHECKING:
    from acestep_ray.cli.batch.lines import Line
    from acestep_ray.cli.batch.report import Report

EXAMPLES = """Examples:

  acestep-ray batch songs.jsonl -o out/
  acestep-ray batch songs.jsonl -o out/ --retry-failed

A line of songs.jsonl:

  {"caption": "upbeat pop", "lyrics": "Hello world", "audio_duration": 60, "batch_size": 1}"""
PATIENCE = 600.0
"""Seconds without an answer after which a batch ends, unless --patience says otherwise."""


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel=SONGS, epilog=EXAMPLES)(with_groups(batch))


def batch(
    *,
    connection: Connection,
    songs: Annotated[
        Path,
        typer.Argument(
            metavar="SONGS",
            exists=True,
            dir_okay=False,
            help="A file with one JSON object per line, of fields of the API. src_audio and "
            "reference_audio name files, seen from the folder of SONGS.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            file_okay=False,
            metavar="DIR",
            help="Folder for the takes, the state of the batch, and report.json.",
        ),
    ],
    in_flight: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=90,
            metavar="N",
            show_default="twice what the service's replicas hold",
            help="How many songs at a time.",
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Make the songs that failed anew.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the report to stdout.")] = False,
    cancel_on_interrupt: Annotated[
        bool,
        typer.Option(
            "--cancel-on-interrupt",
            help="Cancel the jobs that are at work at Ctrl-C or SIGTERM, without asking.",
        ),
    ] = False,
) -> None:
    """Make many songs, each once. The same command goes on after any interruption."""
    from acestep_ray.cli.batch.session import Session
    from acestep_ray.cli.batch.state import StateRefused, opened

    lines = _read(songs)
    if connection.patience is None:
        connection = replace(connection, patience=PATIENCE)
    try:
        with opened(output) as state:
            session = Session(
                connection, state, output, in_flight, cancel_on_interrupt=cancel_on_interrupt
            )
            status = session.make(lines, retry_failed=retry_failed)
            report = session.report(lines)
    except StateRefused as error:
        raise typer.BadParameter(str(error), param_hint="--output") from None
    except OSError as error:
        raise typer.BadParameter(f"{output}: {error}.", param_hint="--output") from None
    if json:
        why = session.end.error or report.summary()
        failure = {"error": why, "code": session.end.code or "songs_failed", "exit_status": status}
        show_document(report.document() | (failure if status else {}))
    _show(report, output)
    raise typer.Exit(status)


def _read(songs: Path) -> "list[Line]":
    from acestep_ray.cli.batch.lines import LinesRefused, read_lines

    try:
        lines = read_lines(songs)
    except LinesRefused as error:
        raise typer.BadParameter("\n".join(error.mistakes), param_hint="SONGS") from None
    except OSError as error:
        raise typer.BadParameter(
            f"{songs}: {error.strerror or error}.", param_hint="SONGS"
        ) from None
    if not lines:
        raise typer.BadParameter(f"there is no song in {songs}.", param_hint="SONGS")
    return lines


def _show(report: "Report", folder: Path) -> None:
    if report.failed:
        console(stderr=True).print(report.table())
    show_line(report.summary())
    if report.failed:
        show_line("--retry-failed makes those that failed anew.")
    try:
        show_line(f"report: {report.write(folder)}")
    except OSError as error:
        show_line(f"the report cannot be written: {error}.")
