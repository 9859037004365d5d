"""The MCP server, by the protocol's official SDK."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp.server import MCPServer
from mcp_types import ToolAnnotations

from acestep_ray import __version__
from acestep_ray.cli.connection import Connection
from acestep_ray.cli.mcp.arguments import StrictTool
from acestep_ray.cli.mcp.tools import MusicTools

INSTRUCTIONS = (
    "Makes music with ACE-Step 1.5. generate, repaint and cover return a job_id at once; call wait "
    "with it until its status is succeeded or failed, then fetch, which saves the takes as files "
    "and returns their paths. models lists what can be asked for."
)
READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
MAKES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
ENDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)


def make_server(connection: Connection, folder: Path) -> MCPServer[Any]:
    """A server whose songs are saved in ``folder``. It connects to the service with the first call
    of a tool."""
    client = connection.open_async()
    tools = MusicTools(client, folder)

    @asynccontextmanager
    async def lifespan(server: MCPServer[Any]) -> AsyncIterator[None]:
        async with client:
            yield

    offered = (
        (tools.generate, MAKES),
        (tools.repaint, MAKES),
        (tools.cover, MAKES),
        (tools.status, READS),
        (tools.wait, READS),
        (tools.cancel, ENDS),
        (tools.list_jobs, READS),
        (tools.fetch, MAKES),
        (tools.listen, MAKES),
        (tools.models, READS),
    )
    return MCPServer(
        "acestep-ray",
        title="acestep-ray",
        version=__version__,
        instructions=INSTRUCTIONS,
        log_level="WARNING",
        lifespan=lifespan,
        tools=[StrictTool.from_function(tool, annotations=kind) for tool, kind in offered],
    )
