"""Progress that is still to be reported: of each job the last step of every stage."""

import asyncio
from collections.abc import Awaitable, Callable

from acestep_ray.jobs.result import Progress

Send = Callable[[list[tuple[str, int, Progress]]], Awaitable[None]]
"""Reports (job id, attempt, progress), in order; see JobStoreClient.report."""


class ProgressReports:
    """Gathers progress until it is sent. In one event loop.

    Within a stage only the last step is kept, but no stage is left out, however short it is.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: dict[str, tuple[int, list[Progress]]] = {}
        self._some = asyncio.Event()
        self._sending = asyncio.Lock()  # so that reports arrive in order

    def put(self, job_id: str, attempt: int, progress: Progress) -> None:
        """Keep how far an attempt is. An earlier attempt of the job is forgotten."""
        known, stages = self._waiting.get(job_id, (attempt, []))
        if known != attempt:
            stages = []
        if stages and stages[-1].stage == progress.stage:
            stages[-1] = progress
        else:
            stages.append(progress)
        self._waiting[job_id] = (attempt, stages)
        self._some.set()

    def drop(self, job_id: str, attempt: int) -> None:
        """Forget what was not sent of an attempt that is over."""
        if self._waiting.get(job_id, (None,))[0] == attempt:
            del self._waiting[job_id]

    async def wait(self) -> None:
        """Wait until there is something to send."""
        await self._some.wait()

    async def send(self) -> None:
        """Send everything. Raises what ``send`` raises; then it is sent by the next call."""
        async with self._sending:
            self._some.clear()
            sent, self._waiting = self._waiting, {}
            if not sent:
                return
            flat = [
                (job_id, attempt, one)
                for job_id, (attempt, stages) in sent.items()
                for one in stages
            ]
            try:
                await self._send(flat)
            except BaseException:
                later, self._waiting = self._waiting, {}
                for job_id, (attempt, stages) in [*sent.items(), *later.items()]:
                    for one in stages:
                        self.put(job_id, attempt, one)
                raise

    async def send_those_of(self, job_id: str) -> None:
        """Send everything, if something is left to send of this job, or is being sent. Raises as
        ``send``."""
        if self._sending.locked() or job_id in self._waiting:
            await self.send()
