"""Engines for tests: the events of each job come from a function that the test sets."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from acestep_ray.decoder.events import Decoded, DecodeEvent, DecodeProgress, Take
from acestep_ray.decoder.protocol import DecoderDescription, DecodeRequest
from acestep_ray.planner.protocol import Metadata, Plan, PlanProgress, PlanRequest, SongText

DESCRIPTION = DecoderDescription(
    engine="mock", model="mock", tasks=("text2music",), turbo=True, mock=True, device="cpu"
)


def decoded(request: DecodeRequest) -> Decoded:
    """A decoder's last event: one take of a second per seed."""
    takes = tuple(
        Take(
            index=index,
            key=f"takes/{request.job_id}/{request.attempt}/{index + 1}.mp3",
            seed=seed,
            format="mp3",
            bytes=1,
            sha256="00",
            samples=48_000,
        )
        for index, seed in enumerate(request.seeds)
    )
    return Decoded(takes=takes, engine=DESCRIPTION, seconds={"diffusion": 1.0})


def plan_of(request: PlanRequest) -> Plan:
    """A planner's last event."""
    metadata = Metadata(
        bpm=request.bpm or 99,
        caption="planned",
        duration=40,
        keyscale=request.key_scale or "D minor",
        language="en",
        timesignature=request.time_signature or "3",
    )
    text = None
    if request.writing:
        text = SongText(caption="written", lyrics="la", metadata=metadata, model="lm", elapsed=0.05)
    return Plan(
        metadata=metadata, codes=(7,) * 200, seconds=40.0, model="lm", elapsed=0.1, text=text
    )


class FakeEngines:
    """Engines; ``gate`` holds every decode until it is set, ``on_decode`` may raise for a job.

    Before the first event of work, ``words`` returns how many waiting events there are (1: the job
    waits for its turn, 2: and then it has its turn), and ``die`` may raise.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.silent = asyncio.Event()  # cleared: no decode yields a first event
        self.silent.set()
        self.plans: list[PlanRequest] = []
        self.decodes: list[DecodeRequest] = []
        self.stopped: list[str] = []
        self.on_plan: Callable[[PlanRequest], None] = lambda request: None
        self.on_decode: Callable[[DecodeRequest], None] = lambda request: None
        self.words: Callable[[PlanRequest | DecodeRequest], int] = lambda request: 0
        self.die: Callable[[PlanRequest | DecodeRequest], None] = lambda request: None
        self.last: Callable[[DecodeRequest], DecodeEvent] = decoded
        self.last_of_plan: Callable[[PlanRequest], Plan] = plan_of
        self.writes: Callable[[PlanRequest], bool] = lambda request: True  # the text of a song
        self.written = asyncio.Event()  # cleared: no song's text is written to its end
        self.written.set()

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See Engines."""
        self.plans.append(request)
        for step in range(self.words(request)):
            yield PlanProgress(stage="waiting", step=step, total=1)
        self.die(request)
        if request.writing and self.writes(request):
            yield PlanProgress(stage="writing", step=50, total=100)
            await self.written.wait()
        yield PlanProgress(stage="metadata", step=0, total=1)
        self.on_plan(request)
        yield PlanProgress(stage="codes", step=100, total=200)
        yield self.last_of_plan(request)

    async def decode(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """See Engines."""
        self.decodes.append(request)
        ended = False
        try:
            await self.silent.wait()
            for step in range(self.words(request)):
                yield DecodeProgress(stage="waiting", step=step, total=1)
            self.die(request)
            yield DecodeProgress(stage="diffusion", step=0, total=8)
            await self.gate.wait()
            self.on_decode(request)
            yield DecodeProgress(stage="diffusion", step=8, total=8)
            ended = True
            yield self.last(request)
        finally:
            if not ended:
                self.stopped.append(request.job_id)
