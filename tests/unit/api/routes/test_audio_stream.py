"""A take on its way from the object store to a client, behind a real socket."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import obstore
import pytest
import uvicorn

from acestep_ray.api.app import create_app
from acestep_ray.artifacts.store import CHUNK
from tests.unit.api.conftest import MakeHarness

CHUNKS = 100


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_client_that_hangs_up_ends_the_reading(
    make_api: MakeHarness, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And if a client reads slowly, the service does not read ahead without limit."""
    api = await make_api(artifacts=s3_url)
    await api.submit()
    job_id = await api.succeed([bytes(CHUNKS * CHUNK)])
    reads = 0
    read: Callable[..., Awaitable[Any]] = obstore.get_range_async

    async def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read(*args, **kwargs)

    monkeypatch.setattr(obstore, "get_range_async", counted)
    app = create_app(api.settings, api.service, api.artifacts)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await _until(lambda: server.started)
    try:
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(f"GET /v1/audio/{job_id}/1.mp3 HTTP/1.1\r\nHost: music\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(CHUNK)
        writer.transport.abort()
        await _until(lambda: not server.server_state.tasks)
        assert 1 <= reads < CHUNKS / 2  # what was in the sockets' buffers, and no more
    finally:
        server.should_exit = True
        await serving
