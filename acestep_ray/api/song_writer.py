"""The language model as the routes use it directly: it writes the text of one song."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.service import JobService
from acestep_ray.jobs.runner.workflow import NoWorker, WorkerLost
from acestep_ray.planner.protocol import PlannerError, PlanProgress, SongText, WriteRequest
from acestep_ray.settings import Settings
from acestep_ray.tracing.tracer import NO_TRACER, Tracer
from acestep_ray.work_context import work_context

PAUSE = 0.5
"""Seconds between two tries if no replica can take a call."""
_RETRY = {"Retry-After": "5"}


class SongWriters(Protocol):
    """The planners. Raises WorkerLost and NoWorker."""

    def write(
        self, planner: str, request: WriteRequest
    ) -> AsyncGenerator[PlanProgress | SongText, None]:
        """See PlannerEngine.write. ``planner``: name of its deployment; a call that waits for a
        planner without replicas starts one. Closing it early cancels the work."""
        ...


class NoPlanner(Exception):
    """There is no planner. The message is a sentence for the client."""


class DirectCalls:
    """Calls of the language model whose clients wait for the text. One per app.

    They share the planners with the jobs. So only a few are made at a time, and each waits for a
    limited time until the language model begins; then it may take as long as a job.
    """

    def __init__(
        self,
        settings: Settings,
        service: JobService,
        writers: SongWriters | None,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._service = service
        self._writers = writers
        self._tracer = tracer
        self._slots = asyncio.Semaphore(settings.limits.direct_calls)
        self._wait = settings.limits.direct_wait
        self._longest = settings.jobs.timeout

    async def write(self, planner: str, request: WriteRequest) -> SongText:
        """The text. Cancelling this cancels the work.

        Raises NoPlanner, PlannerError, and Problem: 429 if the language model did not begin in
        time, 503 if it is not up, was lost, or does not end.
        """
        if self._writers is None:
            raise NoPlanner("No language model is deployed.")
        work = work_context()
        attributes = {"acestep.request_id": work.request_id, "acestep.text": request.kind}
        with self._tracer.start(
            "write", parent=work.trace, kind="client", attributes=attributes
        ) as span:
            origin = {"request_id": work.request_id, "trace": span.trace}
            return await self._in_time(planner, request.model_copy(update=origin))

    async def _in_time(self, planner: str, request: WriteRequest) -> SongText:
        assert self._writers is not None
        begun = False

        def begin() -> None:
            nonlocal begun
            if not begun:
                limit.reschedule(asyncio.get_running_loop().time() + self._longest)
            begun = True

        try:
            async with asyncio.timeout(self._wait) as limit, self._slots:
                return await _written(self._writers, planner, request, begin)
        except TimeoutError:
            if begun:
                raise _lost("did not come to an end") from None
            raise await self._not_begun(planner) from None
        except WorkerLost as error:
            raise _lost("was lost while it wrote") from error

    async def _not_begun(self, planner: str) -> Problem:
        deployed = await self._service.deployed()
        if deployed.planner_slots.get(planner):
            return Problem(
                ProblemCode.PLANNER_BUSY,
                f"The language model was busy for {self._wait:g} seconds; try again later.",
                headers=_RETRY,
            )
        return Problem(
            ProblemCode.NOT_READY,
            "The language model is not up yet; try again in a few seconds.",
            headers=_RETRY,
        )


async def _written(
    writers: SongWriters, planner: str, request: WriteRequest, begin: Callable[[], None]
) -> SongText:
    """``begin`` is called once the language model has begun."""
    while True:
        try:
            async with aclosing(writers.write(planner, request)) as events:
                async for event in events:
                    if isinstance(event, SongText):
                        return event
                    if event.stage != "waiting":
                        begin()
            raise PlannerError("The language model wrote no text.")
        except NoWorker:
            await asyncio.sleep(PAUSE)


def _lost(what: str) -> Problem:
    return Problem(
        ProblemCode.UNAVAILABLE,
        f"The language model {what}; please try again.",
        headers=_RETRY,
    )
