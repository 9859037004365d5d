"""The class of the whole command line, and the names of the groups in its help."""

from typing import Any

import typer
from typer.core import TyperGroup

from acestep_ray.cli.exit_status import ExitStatus
from acestep_ray.errors import ConfigurationError

SONGS = "Songs"
JOBS = "Jobs"
SERVICE = "The service"
MODELS = "Checkpoints and data"


class Commands(TyperGroup):
    """Shows why a command was refused in one line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. A ConfigurationError ends it with the status REFUSED."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as refusal:
            from acestep_ray.startup.terminal import show_line

            show_line(str(refusal), "ERROR")
            raise typer.Exit(ExitStatus.REFUSED) from refusal
