"""Commands that make a song: generate, repaint, cover."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from acestep_ray.cli.api_fields import names_a_song
from acestep_ray.cli.connection import Connection
from acestep_ray.cli.failures import shown_failures
from acestep_ray.cli.follow import (
    RESULT,
    ResultOptions,
    deliver,
    job_document,
    show_warnings,
)
from acestep_ray.cli.groups import SONGS
from acestep_ray.cli.option_groups import with_groups
from acestep_ray.cli.output import show_document, show_line
from acestep_ray.cli.song_options import OPTION_OF, SongOptions, audio_fields, song_fields

Caption = Annotated[
    str | None,
    typer.Argument(
        metavar="CAPTION",
        help="What it is like: style, mood, instruments, voice.",
        show_default=False,
    ),
]
Source = Annotated[
    str, typer.Argument(metavar="SOURCE", help="A file, or a take of an earlier job: JOB_ID/TAKE.")
]
Wait = Annotated[
    bool,
    typer.Option(
        "--wait/--no-wait",
        help="Wait for the takes, or end when the job is queued and write its id.",
        rich_help_panel=RESULT,
    ),
]
NOTHING_TO_MAKE = (
    "nothing says what to make: give CAPTION, --lyrics or --describe (--set sample_mode=true lets "
    "the language model invent a song)."
)
DESCRIBED_TWICE = (
    "--describe and {} exclude each other: from a description the language model writes caption "
    "and lyrics itself."
)
GENERATE_EXAMPLES = """Examples:

  acestep-ray generate "upbeat pop" --lyrics song.txt --lm --duration 60 -o out/
  acestep-ray generate --describe "a sad song about rain, in French" --lm
  acestep-ray generate "lofi beat" --takes 4 --seed 7 --format flac --set shift=2.5"""
REPAINT_EXAMPLES = """Examples:

  acestep-ray repaint song.mp3 "with a guitar solo" --start 10 --end 20 -o out/
  acestep-ray repaint 550e8400-e29b-41d4-a716-446655440000/2 --start 30"""
COVER_EXAMPLES = """Examples:

  acestep-ray cover song.mp3 "jazz trio" --strength 0.8 -o out/"""


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(rich_help_panel=SONGS, epilog=GENERATE_EXAMPLES)(with_groups(generate))
    app.command(rich_help_panel=SONGS, epilog=REPAINT_EXAMPLES)(with_groups(repaint))
    app.command(rich_help_panel=SONGS, epilog=COVER_EXAMPLES)(with_groups(cover))


def generate(
    *,
    song: SongOptions,
    result: ResultOptions,
    connection: Connection,
    caption: Caption = None,
    wait: Wait = True,
) -> None:
    """Make a song from a caption, lyrics or a description."""
    fields = song_fields(song, caption=caption)
    if song.describe and (others := _texts(fields)):
        raise typer.BadParameter(DESCRIBED_TWICE.format(others))
    if not names_a_song(fields):
        raise typer.BadParameter(NOTHING_TO_MAKE)
    _make(fields, result, connection, wait=wait)


def _texts(fields: Mapping[str, Any]) -> str:
    """The options of the texts that are given, which a description replaces."""
    names = {"caption": "CAPTION", "lyrics": "the lyrics"}
    return " and ".join(names[name] for name in names if str(fields.get(name, "")).strip())


def repaint(
    *,
    song: SongOptions,
    result: ResultOptions,
    connection: Connection,
    source: Source,
    caption: Caption = None,
    start: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Where the window begins; below 0: so much new music before the source.",
        ),
    ] = None,
    end: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Where it ends; beyond the source: new music after it. Without it, at the end.",
        ),
    ] = None,
    wait: Wait = True,
) -> None:
    """Make a part of a song anew, and leave the rest as it is."""
    fields = song_fields(
        song,
        task_type="repaint",
        caption=caption,
        repainting_start=start,
        repainting_end=end,
        **audio_fields(source),
    )
    _make(fields, result, connection, wait=wait)


def cover(
    *,
    song: SongOptions,
    result: ResultOptions,
    connection: Connection,
    source: Source,
    caption: Caption = None,
    strength: Annotated[
        float | None,
        typer.Option(metavar="X", help="How much of the source is kept, 0 to 1."),
    ] = None,
    wait: Wait = True,
) -> None:
    """Make another version of a song."""
    fields = song_fields(
        song,
        task_type="cover",
        caption=caption,
        audio_cover_strength=strength,
        **audio_fields(source),
    )
    _make(fields, result, connection, wait=wait)


def _make(
    fields: dict[str, Any], options: ResultOptions, connection: Connection, *, wait: bool
) -> None:
    if wait:
        options.prepare(fields)
    with (
        shown_failures(as_json=options.json, options=OPTION_OF),
        connection.open() as client,
    ):
        try:
            job = client.generate(**fields)
        except KeyboardInterrupt:
            show_line(
                "it is not known whether the job is queued: acestep-ray jobs lists it if it is."
            )
            raise
        except (OSError, TypeError, ValueError) as error:  # of a file, or a text in a form
            raise typer.BadParameter(f"{error}") from None
        show_line(f"job {job.id}")
        show_warnings(job)
        if not wait:
            show_document(job_document(job)) if options.json else typer.echo(job.id)
            return
        files = deliver(job, options)
    if options.json:
        show_document(job_document(job, files))
    else:
        for file in files:
            typer.echo(file)
