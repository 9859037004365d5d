"""``acestep-ray mcp``."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from acestep_ray.cli.connection import Connection
from acestep_ray.cli.exit_status import ExitStatus
from acestep_ray.cli.groups import SONGS
from acestep_ray.cli.option_groups import with_groups
from acestep_ray.cli.output import show_line

FOLDER = Path("~/acestep-songs")
MISSING = "mcp is not installed: pip install 'acestep-ray[mcp]'."
EXAMPLES = """An assistant starts it by itself. What most of them need in their configuration:

  {"mcpServers": {"acestep-ray": {"command": "acestep-ray", "args": ["mcp"]}}}"""


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command(rich_help_panel=SONGS, epilog=EXAMPLES)(with_groups(mcp))


def mcp(
    connection: Connection,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Folder in which songs are saved."),
    ] = FOLDER,
    http: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            metavar="PORT",
            help="Serve streamable HTTP on this port of 127.0.0.1, at /mcp, to whoever is on this "
            "machine; without it, stdin and stdout.",
        ),
    ] = None,
) -> None:
    """Let an assistant make songs, by the Model Context Protocol (MCP)."""
    if find_spec("mcp") is None:
        show_line(MISSING)
        raise typer.Exit(ExitStatus.REFUSED)
    from acestep_ray.cli.mcp.server import make_server

    connection.open().close()  # a wrong address is refused now, and not by each tool
    server = make_server(connection, output.expanduser().absolute())
    if http is None:
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=http)
