"""The ``pt`` engine: one language model, one thread, one job after another."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, nullcontext
from contextvars import copy_context
from typing import Any, Self, TypeVar

import torch

from acestep_ray.gpu_turn import GpuTurn
from acestep_ray.planner.checkpoint_folder import find_lm
from acestep_ray.planner.progress import ProgressThrottle, Stage
from acestep_ray.planner.protocol import (
    Plan,
    PlannerDescription,
    PlannerError,
    PlanProgress,
    PlanRequest,
    SongText,
    WriteRequest,
)
from acestep_ray.planner.transformers.load import load_lm
from acestep_ray.planner.transformers.planning import Planning, Progress
from acestep_ray.planner.transformers.writing import TextWriter
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)
Made = TypeVar("Made", Plan, SongText)


class TransformersPlanner:
    """Implements PlannerEngine. Plans and texts are made one by one; only the vllm engine batches
    them."""

    def __init__(self, planning: Planning, writer: TextWriter, turn: GpuTurn | None = None) -> None:
        self._planning = planning
        self._writer = writer
        self._turn = turn
        self._device = planning.lm.device
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="planner")
        self._at_work: set[Future[Any]] = set()

    @classmethod
    def load(cls, settings: Settings, turn: GpuTurn | None = None) -> Self:
        """The language model that the settings name. ``turn``: if it is on its GPU only while it
        works. Raises CheckpointError."""
        with turn.first() if turn else nullcontext():
            lm = load_lm(find_lm(settings.checkpoints, settings.lm.model), settings.lm)
            planner = cls(
                Planning(lm, settings.lm, settings.lyrics, settings.defaults.duration),
                TextWriter(lm, settings.lm, settings.lyrics),
                turn,
            )
        if turn:
            turn.keep(planner)
        return planner

    def arrive(self) -> None:
        """See Movable. Raises PlannerError if the device has no room."""
        try:
            self._planning.lm.arrive(self._device)
        except torch.OutOfMemoryError as error:
            raise PlannerError(
                "The GPU has no room for the language model: other programs use its memory."
            ) from error

    def leave(self) -> None:
        """See Movable."""
        self._planning.lm.leave()

    def describe(self) -> PlannerDescription:
        """Its one model has the checkpoint's name; a request need not name it."""
        return PlannerDescription(engine="pt", models=(self._planning.model,), mock=False)

    async def plan(self, request: PlanRequest) -> AsyncGenerator[PlanProgress | Plan, None]:
        """See PlannerEngine.plan. If it is closed early, it returns when the work has stopped."""
        work = self._work(request.model, lambda progress: self._planning.plan(request, progress))
        async with aclosing(work) as events:
            async for event in events:
                yield event

    async def write(self, request: WriteRequest) -> AsyncGenerator[PlanProgress | SongText, None]:
        """See PlannerEngine.write. If it is closed early, it returns when the work has stopped."""
        work = self._work(request.model, lambda progress: self._writer.write(request, progress))
        async with aclosing(work) as events:
            async for event in events:
                yield event

    async def _work(
        self, model: str, make: Callable[[Progress], Made]
    ) -> AsyncGenerator[PlanProgress | Made, None]:
        """What ``make`` makes in the thread, after its progress."""
        if model not in ("", self._planning.model):
            raise PlannerError(
                f"The LM {model!r} is not deployed; there are: {self._planning.model}."
            )
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[PlanProgress | None] = asyncio.Queue()

        def put(event: PlanProgress | None) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        progress = _Progress(put)
        if waits := bool(self._at_work):
            put(PlanProgress(stage="waiting", step=0, total=1))

        def run() -> Made:
            if waits:
                put(PlanProgress(stage="waiting", step=1, total=1))
            with self._turn.held(progress.waits) if self._turn else nullcontext():
                progress.begins()
                return make(progress)

        future = self._thread.submit(copy_context().run, run)
        self._at_work.add(future)
        future.add_done_callback(self._at_work.discard)
        future.add_done_callback(lambda _: put(None))
        try:
            while event := await events.get():
                yield event
            yield future.result()
        finally:
            progress.stop.set()
            if not future.done() and not future.cancel():
                await _stopped(future)

    async def check(self) -> None:
        """See PlannerEngine.check. This engine lives as long as its process."""

    async def close(self) -> None:
        """Release the thread. What is under way continues to its end."""
        self._thread.shutdown(wait=False)


class _Stop(Exception):
    """No caller waits for the result any more."""


class _Progress:
    """Sends the thread's progress to the event loop."""

    def __init__(self, put: Callable[[PlanProgress], object]) -> None:
        self.stop = threading.Event()
        self._put = put
        self._pace = ProgressThrottle()
        self._waiting = False

    def waits(self) -> None:
        """Report that another engine has the GPU."""
        self._check()
        if not self._waiting:
            self._waiting = True
            self._put(PlanProgress(stage="waiting", step=0, total=1))

    def begins(self) -> None:
        """Report that the engine has the GPU, if it has waited for it."""
        if self._waiting:
            self._put(PlanProgress(stage="waiting", step=1, total=1))

    def _check(self) -> None:
        """Raise _Stop if no caller waits for the result any more."""
        if self.stop.is_set():
            raise _Stop

    def __call__(self, stage: Stage, step: int, total: int) -> None:
        self._check()
        for event in self._pace.events(stage, step, total):
            self._put(event)


async def _stopped(future: Future[Made]) -> None:
    """Wait for the end of work whose ``stop`` is set."""
    try:
        await asyncio.wrap_future(future)
    except _Stop:
        return
    except Exception:
        logger.exception("A plan or text that nobody waits for failed")
