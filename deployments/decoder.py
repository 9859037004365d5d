"""The decoder deployment: an engine on its device, behind a streaming handle."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ray.serve import metrics

from acestep_ray.audio.artifacts import Artifacts
from acestep_ray.cards.needs import needs_of_decoder
from acestep_ray.decoder.engines import make_decoder
from acestep_ray.decoder.events import Decoded, DecodeEvent
from acestep_ray.decoder.protocol import DecoderEngine, DecodeRequest
from acestep_ray.decoder.worker import DecodeWorker
from acestep_ray.jobs.store.protocol import Owns
from acestep_ray.settings import Settings
from deployments.card import start
from deployments.names import DECODER
from deployments.presence import Presence
from deployments.storage_guard import until_storage_ready
from deployments.store_client import StoreClient

STORAGE_PATIENCE = 120.0
"""Seconds that storage which is away is waited for: making the takes again would cost more."""


class Decoder:
    """Serves ``decode``. A replica that was built is ready: its engine is loaded, storage answers.

    Until then it is unknown to the runner, and the jobs wait in their queue.
    """

    _presence: Presence | None = None

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Serve awaits it
        await until_storage_ready(settings)
        engine = start(DECODER, needs_of_decoder(settings), lambda: make_decoder(settings))
        self._serve(settings, engine, Artifacts(settings.artifacts_url, STORAGE_PATIENCE))

    def _serve(self, settings: Settings, engine: DecoderEngine, artifacts: Artifacts) -> None:
        """Serve ``engine``, and announce it."""
        self._worker = DecodeWorker(engine, artifacts)
        self._client = StoreClient(settings)
        self._phase_seconds = metrics.Histogram(
            "acestep_decode_phase_seconds",
            description="Time that a job spent in a phase of the decoder.",
            boundaries=[0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300],
            tag_keys=("phase",),
        )
        self._peak_memory = metrics.Gauge(
            "acestep_decode_peak_memory_bytes",
            description="Most device memory while the last job ran.",
        )
        self._presence = Presence(self._client, engine.describe())

    async def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See DecodeWorker.decode."""

        async def owns() -> bool:
            return bool(await self._client.apply(Owns(request.job_id, request.attempt)))

        async with aclosing(self._worker.decode(request, owns)) as events:
            async for event in events:
                if isinstance(event, Decoded):
                    self._measure(event)
                yield event

    def _measure(self, decoded: Decoded) -> None:
        for phase, seconds in decoded.seconds.items():
            self._phase_seconds.observe(seconds, tags={"phase": phase})
        if decoded.peak_memory is not None:
            self._peak_memory.set(decoded.peak_memory)

    def check_health(self) -> None:
        """Raise when the engine hangs; Serve then replaces the replica."""
        self._worker.check()

    async def __del__(self) -> None:
        if self._presence is not None:  # it is None where __init__ failed
            await self._presence.leave()
