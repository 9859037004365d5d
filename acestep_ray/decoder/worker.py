"""Serves decode requests with an engine: one job on the device at a time, encoding beside it."""

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

from acestep_ray.adapters.header import BadAdapter
from acestep_ray.adapters.library import AdapterLibrary, LocalAdapter
from acestep_ray.artifacts.content_disposition import disposition
from acestep_ray.artifacts.keys import attempt_prefix, take_key
from acestep_ray.artifacts.store import Artifacts, StorageError
from acestep_ray.audio.encode import UnusableSamples, encode_take
from acestep_ray.audio.tags import Tags
from acestep_ray.busy_time import BusyTime
from acestep_ray.decoder.decode_metrics import record_decoded
from acestep_ray.decoder.events import Decoded, DecodeEvent, DecodeFailed, DecodeProgress, Take
from acestep_ray.decoder.jobs_in_hand import MOST_BYTES, JobsInHand, JobTimes
from acestep_ray.decoder.protocol import (
    DecodeCancelled,
    DecoderEngine,
    DecodeRequest,
    DecoderError,
    OutOfMemoryError,
    RenderedTake,
    Sources,
)
from acestep_ray.decoder.render import Rendering
from acestep_ray.decoder.source_audio import read_source
from acestep_ray.decoder.take_memory import Room, TakeMemory, sound_bytes
from acestep_ray.formats import FORMATS
from acestep_ray.metrics import NO_METER, Meter

logger = logging.getLogger(__name__)

StillOwned = Callable[[], Awaitable[bool]]
"""Checks whether the attempt still has its job. May raise: then it is unknown."""

FENCE_EVERY = 1.0
"""Seconds between two checks of the fence while the engine works."""

CLEANING_SECONDS = 10.0
"""Seconds to delete what a failed attempt stored; after that a runner does it."""

STUCK_SECONDS = 120.0
"""Seconds after which an engine that was stopped, and still works, is considered stuck."""


WAITING = DecodeProgress(stage="waiting", step=0, total=1)


class DecodeWorker:
    """Drives one engine. Belongs to one event loop. ``busy``: when the engine worked. ``in_hand``:
    how many jobs it should be given at a time."""

    def __init__(
        self,
        engine: DecoderEngine,
        artifacts: Artifacts,
        encoders: int = 2,
        meter: Meter = NO_METER,
        adapters: AdapterLibrary | None = None,
    ) -> None:
        self.busy = BusyTime()
        self.in_hand = JobsInHand(encoders)
        self._memory = TakeMemory(MOST_BYTES)
        self._meter = meter
        self._engine = engine
        self._artifacts = artifacts
        self._adapters = adapters
        # One thread is the device: work that waits for it waits in order.
        self._device = ThreadPoolExecutor(1, "device")
        self._encoders = ThreadPoolExecutor(encoders, "encode")
        self._at_device: set[Future[None]] = set()
        self._stopping: dict[str, float] = {}

    def check(self) -> None:
        """Raise RuntimeError if the engine does not stop: this process has lost the device."""
        for job_id, since in self._stopping.items():
            if time.monotonic() - since > STUCK_SECONDS:
                raise RuntimeError(f"the engine has not let go of job {job_id}")

    async def decode(
        self, request: DecodeRequest, owns: StillOwned
    ) -> AsyncGenerator[DecodeEvent, None]:
        """Make and store the takes of one job.

        The first event comes when the engine has begun, or when the job has to wait for others;
        the last is Decoded or DecodeFailed. Ends without one if the attempt has lost its job.
        Closing the iterator stops the engine within one step; a GPU may have begun another one.
        """
        try:
            async with contextlib.aclosing(self._decode(request, owns)) as events:
                async for event in events:
                    if isinstance(event, Decoded):
                        record_decoded(self._meter, request, event)
                    yield event
        except DecodeCancelled:
            logger.warning(
                "Stopped: job %s is no longer attempt %d's.", request.job_id, request.attempt
            )
        except (OutOfMemoryError, MemoryError):
            yield DecodeFailed(
                code="out_of_memory",
                detail="The decoder ran out of memory, even one take at a time; "
                "ask for a shorter audio_duration.",
            )
        except DecoderError as error:
            yield DecodeFailed(code="decoder_failed", detail=str(error))
        except StorageError as error:
            logger.warning("Storage failed under job %s", request.job_id, exc_info=error)
            yield DecodeFailed(code="storage_failed", detail=str(error))
        except Exception:
            logger.exception("The decoder failed on job %s", request.job_id)
            yield DecodeFailed(
                code="decoder_failed",
                detail="The decoder failed unexpectedly; the server's log tells more.",
            )

    async def _decode(
        self, request: DecodeRequest, owns: StillOwned
    ) -> AsyncGenerator[DecodeEvent, None]:
        size = sound_bytes(request)
        if waited := self._memory.is_full(size):
            yield WAITING
        async with (
            self._memory.room(size) as room,
            contextlib.aclosing(self._make(request, owns, room, waited)) as events,
        ):
            if waited and not await _ours(owns):
                raise DecodeCancelled
            async for event in events:
                yield event

    async def _make(
        self, request: DecodeRequest, owns: StillOwned, room: Room, waited: bool
    ) -> AsyncGenerator[DecodeEvent, None]:
        """Make, encode and store the takes. ``room``: for them, decoded. ``waited``: whether the
        job has waited for it."""
        loop = asyncio.get_running_loop()
        news: asyncio.Queue[DecodeProgress | RenderedTake | None] = asyncio.Queue()
        started = time.perf_counter()

        def emit(event: DecodeProgress | RenderedTake) -> None:
            loop.call_soon_threadsafe(news.put_nowait, event)

        rendering = Rendering(self._engine, request, await self._read_sources(request), emit)
        rendering.seconds["reading"] = time.perf_counter() - started
        with tempfile.TemporaryDirectory(prefix="acestep-takes-") as folder:
            waits = waited or bool(self._at_device)
            if waits and not waited:
                emit(WAITING)
            thread = self._on_device(rendering, waits, emit)
            device = asyncio.wrap_future(thread)
            device.add_done_callback(lambda _: news.put_nowait(None))
            fence = asyncio.create_task(_watch(owns, rendering))
            encodes: list[asyncio.Future[Take]] = []
            try:
                while (event := await news.get()) is not None:
                    if isinstance(event, DecodeProgress):
                        yield event
                        continue
                    encodes.append(
                        loop.run_in_executor(
                            self._encoders,
                            copy_context().run,
                            self._encode,
                            request,
                            event,
                            Path(folder),
                        )
                    )
                    del event  # the samples: a long take has 200 MB
                await device
                memory = self._engine.memory()
                started = time.perf_counter()
                yield DecodeProgress(stage="storing", step=0, total=len(encodes))
                takes = await asyncio.shield(asyncio.gather(*encodes))
                encoding = time.perf_counter() - started
                room.release()
                if not await _ours(owns):
                    raise DecodeCancelled
                storing = self._store(request, takes, Path(folder))
                async with contextlib.aclosing(storing) as events:
                    async for event in events:
                        yield event
                rendering.seconds["storing"] = time.perf_counter() - started
            finally:
                rendering.stop.set()
                fence.cancel()
                thread.cancel()  # if it still waits for the device; a running engine obeys ``stop``
                # The threads read the sources and write into the folder until they end.
                self._stopping[request.job_id] = time.monotonic()
                await _settled(device, fence, *encodes)
                self._stopping.pop(request.job_id, None)
        decoded = Decoded(
            takes=tuple(takes),
            engine=self._engine.describe(),
            seconds={k: round(v, 3) for k, v in rendering.seconds.items()},
            peak_memory=memory.peak if memory else None,
            warnings=tuple(rendering.warnings),
        )
        times = JobTimes(
            device=decoded.device_seconds,
            encoding=encoding,
            storing=rendering.seconds["storing"] - encoding,
            takes=len(takes),
            sound_bytes=sound_bytes(request),
        )
        self.in_hand.record(times)
        yield decoded

    def _on_device(
        self, rendering: Rendering, waits: bool, emit: Callable[[DecodeProgress], None]
    ) -> Future[None]:
        """Let the engine work when the device is free. ``waits``: the job was said to wait."""

        def run() -> None:
            if waits:
                emit(DecodeProgress(stage="waiting", step=1, total=1))
            with self.busy.working():
                rendering.run()

        # The threads' log lines hold this job, too.
        thread = self._device.submit(copy_context().run, run)
        self._at_device.add(thread)
        thread.add_done_callback(self._at_device.discard)
        return thread

    async def _store(
        self, request: DecodeRequest, takes: Sequence[Take], folder: Path
    ) -> AsyncGenerator[DecodeProgress, None]:
        """Store the encoded takes: all of them, or none."""
        async with self._all_or_nothing(request):
            for take in takes:
                file = folder / str(take.index)
                await self._artifacts.put_file(take.key, file, _headers(request, take))
                yield DecodeProgress(stage="storing", step=take.index + 1, total=len(takes))

    @contextlib.asynccontextmanager
    async def _all_or_nothing(self, request: DecodeRequest) -> AsyncGenerator[None, None]:
        """Delete what was stored if not every take could be stored, or if the job was ended."""
        try:
            yield
        except BaseException:
            folder = attempt_prefix(request.job_id, request.attempt)
            try:
                async with asyncio.timeout(CLEANING_SECONDS):
                    await self._artifacts.delete_prefix(folder)
            except (StorageError, TimeoutError) as error:
                # The first error is what counts; the search for orphans finds the files.
                logger.warning("%s cannot be deleted now: %s", folder, error)
            raise

    async def _read_sources(self, request: DecodeRequest) -> Sources:
        source = request.source and await read_source(self._artifacts, request.source)
        reference = request.reference and await read_source(self._artifacts, request.reference)
        return Sources(
            source=source[0] if source else None,
            source_rate=source[1] if source else 0,
            reference=reference[0] if reference else None,
            reference_rate=reference[1] if reference else 0,
            source_digest=source[2] if source else "",
            reference_digest=reference[2] if reference else "",
            adapters={use.name: await self._local_adapter(use.name) for use in request.adapters},
        )

    async def _local_adapter(self, name: str) -> LocalAdapter:
        if self._adapters is None:
            raise DecoderError("This decoder has no adapters: set ACESTEP_ADAPTERS for it, too.")
        try:
            return await self._adapters.local(name)
        except BadAdapter as error:
            raise DecoderError(str(error)) from error

    def _encode(self, request: DecodeRequest, take: RenderedTake, folder: Path) -> Take:
        engine = self._engine.describe()
        tags = Tags(
            caption=request.caption,
            seed=take.seed,
            bpm=request.bpm,
            key=request.key_scale,
            time_signature=request.time_signature,
            model=engine.model,
            mock=engine.mock,
        )
        path = folder / str(take.index)
        try:
            encoded = encode_take(take.samples, path, request.audio_format, tags)
        except UnusableSamples as error:
            raise DecoderError(str(error)) from error
        return Take(
            index=take.index,
            key=take_key(request.job_id, request.attempt, take.index, request.audio_format),
            seed=take.seed,
            format=request.audio_format,
            bytes=encoded.bytes,
            sha256=encoded.sha256,
            samples=encoded.samples,
            lrc=take.lrc,
            scores=take.scores,
        )


def _headers(request: DecodeRequest, take: Take) -> dict[str, str]:
    """Content type and file name, for clients that fetch a take directly from the object store."""
    return {
        "Content-Type": FORMATS[take.format].media_type,
        "Content-Disposition": disposition(request.caption, take.index, take.format),
    }


async def _ours(owns: StillOwned) -> bool:
    """Whether the attempt still has its job; true if unknown, as a finish is fenced, too."""
    try:
        return await owns()
    except Exception as error:
        logger.warning("Cannot tell whether the job is still ours: %s", error)
        return True


async def _watch(owns: StillOwned, rendering: Rendering) -> None:
    """Stop the engine if another attempt has the job: a dead caller never reports it."""
    while True:
        if not await _ours(owns):
            rendering.stop.set()
            return
        await asyncio.sleep(FENCE_EVERY)


async def _settled(*work: asyncio.Future[Any]) -> None:
    """Wait until all have ended, however they ended, even when cancelled while waiting."""
    waiting = asyncio.gather(*work, return_exceptions=True)
    while not waiting.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(waiting)
