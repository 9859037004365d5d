"""All commands, in their groups, and how each of them ends."""

from collections.abc import Sequence
from typing import Annotated

import typer

from acestep_ray.cli import download_model, jobs, machine, models, songs
from acestep_ray.cli.batch import command as batch
from acestep_ray.cli.groups import Commands
from acestep_ray.cli.mcp import command as mcp

app = typer.Typer(
    name="acestep-ray",
    cls=Commands,
    help="Make music with ACE-Step 1.5: run the service, and ask it for songs.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback is for a report of an error, so as Python's own
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (songs, batch, mcp, jobs, models, machine, download_model):
    group.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        from acestep_ray import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before the command."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command (None: that of this process) and return its exit status; docs/cli.md lists
    them."""
    try:
        app(args=argv, prog_name="acestep-ray")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return 0
