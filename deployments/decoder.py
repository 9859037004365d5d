"""The decoder deployment: an engine on its device, behind a streaming handle."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from acestep_ray.audio.artifacts import Artifacts
from acestep_ray.decoder.engines import make_decoder
from acestep_ray.decoder.events import DecodeEvent
from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.decoder.worker import DecodeWorker
from acestep_ray.jobs.store.protocol import Owns
from acestep_ray.settings import Settings
from deployments.presence import Presence
from deployments.store_client import StoreClient


class Decoder:
    """Serves ``decode``. A replica that was built is ready: its engine is loaded."""

    def __init__(self, settings: Settings) -> None:
        engine = make_decoder(settings)
        self._worker = DecodeWorker(engine, Artifacts(settings.artifacts_url))
        self._client = StoreClient(settings)
        self._presence = Presence(self._client, engine.describe())

    async def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See DecodeWorker.decode."""

        async def owns() -> bool:
            return bool(await self._client.apply(Owns(request.job_id, request.attempt)))

        async with aclosing(self._worker.decode(request, owns)) as events:
            async for event in events:
                yield event

    async def __del__(self) -> None:
        await self._presence.leave()
