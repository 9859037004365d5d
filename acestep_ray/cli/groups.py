"""The class of the whole command line, and the names of the groups in its help."""

from typing import Any

import typer
from typer.core import TyperGroup

from acestep_ray.cli.exit_status import ExitStatus
from acestep_ray.cli.refusals import refusals_as_documents, wants_json
from acestep_ray.errors import ConfigurationError

SONGS = "Songs"
JOBS = "Jobs"
SERVICE = "The service"
MODELS = "Checkpoints and data"


WANTS_JSON = "acestep_ray.wants_json"


class Commands(TyperGroup):
    """Shows why a command was refused: in one line on stderr, and with ``--json`` as a document on
    stdout, too."""

    def make_context(self, info_name: str | None, args: list[str], *more: Any, **extra: Any) -> Any:
        """Read the options before the command."""
        wanted = wants_json(args)
        with refusals_as_documents(wanted=wanted):
            context = super().make_context(info_name, args, *more, **extra)
        context.meta[WANTS_JSON] = wanted
        return context

    def invoke(self, ctx: Any) -> Any:
        """Run the command. A ConfigurationError ends it with the status REFUSED."""
        try:
            with refusals_as_documents(wanted=ctx.meta[WANTS_JSON]):
                return super().invoke(ctx)
        except ConfigurationError as refusal:
            from acestep_ray.startup.terminal import show_line

            show_line(str(refusal), "ERROR")
            raise typer.Exit(ExitStatus.REFUSED) from refusal
