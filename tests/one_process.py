"""The service in the test's own process: the app on a port of loopback, the runner and the mock
engines, without Ray."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import uvicorn
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acestep_ray.adapters.library import library_of
from acestep_ray.api.app import create_app
from acestep_ray.api.store_service import JobStoreService
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.audio.aac import writable_formats
from acestep_ray.decoder.engines import make_decoder
from acestep_ray.decoder.events import DecodeEvent
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.decoder.worker import DecodeWorker
from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.runner.runner import Runner
from acestep_ray.jobs.store.operations import IsOwner
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.planner.engines import make_planner
from acestep_ray.planner.plan_song import plan_song
from acestep_ray.planner.protocol import Plan, PlanProgress, PlanRequest, SongText, WriteRequest
from acestep_ray.replicas.decoders import DECODER
from acestep_ray.replicas.planners import planners_of
from acestep_ray.replicas.registry import Registration
from acestep_ray.settings import Settings
from tests.service import until
from tests.unit.api.harness import NoServe
from tests.unit.jobs.local_client import LocalClient

GRACE = 2
"""Seconds that open streams of events have to end when the service stops."""
FOREVER = 1e9
"""Seconds that are added to the time of a registration: nothing here renews it."""


@dataclass(frozen=True)
class Seen:
    """A request, and the status of its response."""

    method: str
    path: str
    headers: Headers
    status: int


class OneProcess:
    """The service, in a thread that has its own event loop. ``engines``: False for a service
    whose engines are not up. ``around``: what stands in front of the app, such as a proxy.
    ``decoder``: what its decoder says of itself, where that is not the mock's own description.
    ``seen``: every request, in the order of the responses."""

    def __init__(
        self,
        settings: Settings,
        *,
        engines: bool = True,
        port: int = 0,
        around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
        decoder: Mapping[str, object] | None = None,
    ) -> None:
        self._settings = settings
        self._described_as = decoder or {}
        self._has_engines = engines
        self._around = around
        self._artifacts = Artifacts(settings.artifacts_url)
        self._decoder = make_decoder(settings)
        self._worker = DecodeWorker(
            self._decoder, self._artifacts, adapters=library_of(settings, 10.0)
        )
        self._planner = make_planner(settings)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.seen: list[Seen] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Start it and wait until it accepts requests."""
        self._thread.start()
        until(lambda: self._server and self._server.started, "the app did not start")

    def stop(self) -> None:
        """Stop it; running jobs end before."""
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join()

    async def _serve(self) -> None:
        coordinator = JobCoordinator(
            lambda: SqliteStore(self._settings.data / "jobs.sqlite"), self._settings
        )
        await coordinator.open()
        self._client = LocalClient(coordinator)
        runner = Runner(self._client, self, self._artifacts, self._settings)
        if self._has_engines:
            self._register(coordinator)
            runner.start()
        service = JobStoreService(self._client, self._settings, NoServe())
        app = create_app(self._settings, service, self._artifacts, self)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._recording(self._around(app)),
                log_config=None,
                lifespan="off",
                timeout_graceful_shutdown=GRACE,
            )
        )
        await self._server.serve(sockets=[self._listener])
        if self._has_engines:
            await runner.drain()
        await self._planner.close()
        await coordinator.close()

    def _register(self, coordinator: JobCoordinator) -> None:
        (spec,) = planners_of(self._settings)
        planner = self._planner.describe().model_copy(update={"deployment": spec.name})
        described = {"audio_formats": writable_formats(), **self._described_as}
        decoder = self._decoder.describe().model_copy(update=described)
        for one in (
            Registration("planner", spec.name, planner, slots=4),
            Registration("decoder", DECODER, decoder, slots=2),
        ):
            coordinator.registry.register(one, time.monotonic() + FOREVER)

    def _recording(self, app: ASGIApp) -> ASGIApp:
        async def record(scope: Scope, receive: Receive, send: Send) -> None:
            async def recording_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = Headers(scope=scope)
                    one = Seen(scope["method"], scope["path"], headers, message["status"])
                    self.seen.append(one)
                await send(message)

            await app(scope, receive, recording_send)

        return record

    def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See workflow.Engines."""
        return plan_song(self._planner, request)

    def write(
        self, planner: str, request: WriteRequest
    ) -> AsyncGenerator[PlanProgress | SongText, None]:
        """See SongWriters."""
        return self._planner.write(request)

    def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See workflow.Engines."""

        async def owns() -> bool:
            return await self._client.apply(IsOwner(request.job_id, request.attempt))

        return self._worker.decode(request, owns)


@contextmanager
def one_process(
    *,
    engines: bool = True,
    port: int = 0,
    around: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    decoder: Mapping[str, object] | None = None,
    **settings: Any,
) -> Iterator[OneProcess]:
    """A service that accepts requests, and is stopped afterwards. ``settings``: those that are not
    the defaults; the environment is not read. The others are as in OneProcess."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.upper().startswith("ACESTEP_")]:
            del os.environ[name]
        service = OneProcess(
            Settings(**settings), engines=engines, port=port, around=around, decoder=decoder
        )
    service.start()
    try:
        yield service
    finally:
        service.stop()
