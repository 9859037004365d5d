"""A limit for the memory of decoded sound: ten minutes have 230 MB."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from acestep_ray.decoder.protocol import DecodeRequest
from acestep_ray.timebase import CODES_PER_SECOND, SAMPLE_RATE

SAMPLE_BYTES = 8
"""Of one decoded sample: two channels of 32-bit floats."""
ALWAYS = 2
"""Jobs that have room whatever they need: one on the device, and one that is encoded."""


def sound_bytes(request: DecodeRequest) -> int:
    """Memory of a job's sound: what it is made from, and its takes until they are encoded."""
    sources = sum(
        audio.samples * audio.channels * SAMPLE_BYTES // 2
        for audio in (request.source, request.reference)
        if audio is not None
    )
    return sources + round(len(request.seeds) * _seconds(request) * SAMPLE_RATE) * SAMPLE_BYTES


def _seconds(request: DecodeRequest) -> float:
    """Length of a take."""
    if request.codes:
        return max(map(len, request.codes)) / CODES_PER_SECOND
    source = request.source
    if source is None or (request.task == "text2music" and not request.edits_flow):
        return request.seconds
    # Beyond its source, too, if that is outpainted.
    return max(source.seconds, request.repaint_end or 0) + max(0.0, -request.repaint_start)


class Room:
    """The memory that one job may use for its sound, until ``release`` is called."""

    def __init__(self, memory: "TakeMemory", size: int) -> None:
        self._memory: TakeMemory | None = memory
        self._size = size

    def release(self) -> None:
        """Its takes are no longer in memory. Does nothing the second time."""
        if self._memory is not None:
            self._memory.free(self._size)
            self._memory = None


class TakeMemory:
    """Jobs get room in the order in which they ask. Belongs to one event loop. ``limit``: bytes of
    all jobs together; two jobs always have room."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs = self._held = 0
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    def is_full(self, size: int) -> bool:
        """Whether a job that needs ``size`` bytes would have to wait."""
        return self._turn.locked() or not self._fits(size)

    @asynccontextmanager
    async def room(self, size: int) -> AsyncGenerator[Room, None]:
        """Wait until there is room for a job of ``size`` bytes, and keep it for the job."""
        async with self._turn:
            while not self._fits(size):
                self._freed.clear()
                await self._freed.wait()
            self._jobs += 1
            self._held += size
        room = Room(self, size)
        try:
            yield room
        finally:
            room.release()

    def free(self, size: int) -> None:
        """Give the room of one job back."""
        self._jobs -= 1
        self._held -= size
        self._freed.set()

    def _fits(self, size: int) -> bool:
        return self._jobs < ALWAYS or self._held + size <= self._limit
