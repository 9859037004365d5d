"""Stand-ins for the planners of direct calls."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from acestep_ray.planner.engines import make_planner
from acestep_ray.planner.protocol import Metadata, PlanProgress, SongText, WriteRequest
from acestep_ray.settings import Settings

TEXT = SongText(
    caption="Soft folk with a cello.",
    lyrics="[Verse]\nThe sea is calm",
    metadata=Metadata(
        bpm=84, caption=None, duration=95, keyscale="D major", language="en", timesignature="3"
    ),
    model="acestep-5Hz-lm-1.7B",
    elapsed=1.5,
    mock=True,
)
BEGUN = PlanProgress(stage="writing", step=1, total=100)
QUEUED = PlanProgress(stage="waiting", step=0, total=1)


class Writers:
    """SongWriters whose events a test sets: an exception is raised, and None waits for ``go``."""

    def __init__(self, *events: PlanProgress | SongText | Exception | None) -> None:
        self.scripts: list[Sequence[PlanProgress | SongText | Exception | None]] = []
        self.usual = events or (BEGUN, TEXT)
        self.asked: list[tuple[str, WriteRequest]] = []
        self.go = asyncio.Event()
        self.at_work = 0
        self.most_at_work = 0
        self.stopped = 0

    async def write(
        self, planner: str, request: WriteRequest
    ) -> AsyncGenerator[PlanProgress | SongText, None]:
        self.asked.append((planner, request))
        self.at_work += 1
        self.most_at_work = max(self.at_work, self.most_at_work)
        ended = False
        try:
            for event in self.scripts.pop(0) if self.scripts else self.usual:
                if event is None:
                    await self.go.wait()
                elif isinstance(event, Exception):
                    ended = True
                    raise event
                else:
                    ended = isinstance(event, SongText)
                    yield event
        finally:
            self.at_work -= 1
            self.stopped += not ended


class MockWriters:
    """The mock planner, called without Ray."""

    def write(
        self, planner: str, request: WriteRequest
    ) -> AsyncGenerator[PlanProgress | SongText, None]:
        return make_planner(Settings()).write(request)
