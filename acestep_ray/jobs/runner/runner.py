"""Leases jobs and runs them: the loops of the runner deployment."""

import asyncio
import logging
import uuid

from acestep_ray.artifacts.store import Artifacts
from acestep_ray.jobs.client import JobStoreClient, LeaseRequest
from acestep_ray.jobs.job import ErrorCode
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.runner.artifact_collector import ArtifactCollector
from acestep_ray.jobs.runner.progress_reports import ProgressReports
from acestep_ray.jobs.runner.workflow import Engines, Workflow
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import (
    Deregister,
    Direct,
    Finish,
    IsOwner,
    KeepAlive,
    Release,
)
from acestep_ray.jobs.store.records import JobRecord
from acestep_ray.jobs.store_loop import PAUSE, repeat
from acestep_ray.replicas.decoders import decoders_of
from acestep_ray.replicas.planners import planners_of
from acestep_ray.settings import Settings
from acestep_ray.tracing.tracer import NO_TRACER, Tracer
from acestep_ray.work_context import work_for

logger = logging.getLogger(__name__)

CHANGES_SECONDS = 10.0
"""Longest time that a request for changes waits, in seconds."""
FOREVER = 7 * 86400.0
"""Seconds for which a write of finished work waits for the store."""
REPORT_EVERY = 0.5
"""Seconds between two reports, at least."""
LAST_REPORT_SECONDS = 3.0
"""Longest time that the end of a job waits until its last progress is reported."""


class Runner:
    """One per process. ``start`` it in its event loop, ``drain`` it before the process ends.

    ``cluster``: id of the Ray cluster of the engines, if several clusters share the store.
    """

    def __init__(
        self,
        client: JobStoreClient,
        engines: Engines,
        artifacts: Artifacts,
        settings: Settings,
        cluster: str = "",
        *,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self.name = f"runner-{uuid.uuid4().hex[:12]}"
        self._client = client
        self._engines = engines
        self._settings = settings
        self._cluster = cluster
        self._tracer = tracer
        self._planners = tuple(planner.name for planner in planners_of(settings))
        decoders = tuple(decoder.name for decoder in decoders_of(settings))
        self._decoders = decoders if len(decoders) > 1 else ()
        self._collector = ArtifactCollector(client, artifacts, settings)
        self._jobs: dict[str, tuple[JobRecord, asyncio.Task[None]]] = {}
        self._reports = ProgressReports(client.report)
        self._may_lease = asyncio.Event()  # set when jobs may be leased
        self._request = ""  # id of the lease request that has no result yet
        self._draining = False
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin leasing."""
        loops = {
            "keep_alive": repeat(self._keep_alive, "The runner's liveness record"),
            "changes": repeat(self._follow_changes, "The runner's reading of changes"),
            "report": repeat(self._report, "The runner's report of progress"),
            "lease": repeat(self._lease, "The runner's leasing of jobs"),
            "garbage": repeat(self._collect_garbage, "The runner's removal of old audio"),
        }
        for name, loop in loops.items():
            self._loops.append(asyncio.create_task(loop, name=name))

    def check(self) -> None:
        """Raise RuntimeError if one of the loops has ended: the replica must be replaced."""
        for loop in self._loops:
            if loop.done():
                raise RuntimeError(f"the runner's {loop.get_name()} loop has ended")

    async def drain(self) -> None:
        """Lease no more, and wait for the jobs that were leased."""
        self._draining = True
        while self._jobs:
            await asyncio.wait([task for _, task in self._jobs.values()])
        for loop in self._loops:
            loop.cancel()
        await self._client.apply(Deregister(self.name))

    async def write(self, op: Direct[bool]) -> bool:
        """See workflow.JobWriter. Waits as long as the store is unavailable."""
        if isinstance(op, Finish | Release):
            try:
                async with asyncio.timeout(LAST_REPORT_SECONDS):
                    await self._reports.send_those_of(op.job_id)  # later it would be dropped
            except (StoreUnavailable, TimeoutError) as error:
                logger.debug("The last progress of job %s is not reported: %r", op.job_id, error)
        while True:
            try:
                return await self._client.apply(op, patience=FOREVER)
            except Exception:
                # Without this write, the job would stay with this runner and never end.
                logger.exception("%s was not written; trying again", type(op).__name__)
                await asyncio.sleep(PAUSE)

    def progress(self, job_id: str, attempt: int, progress: Progress) -> None:
        """See workflow.JobWriter."""
        self._reports.put(job_id, attempt, progress)

    async def _keep_alive(self) -> None:
        ttl = self._settings.jobs.lease_seconds
        await self._client.apply(KeepAlive(self.name, ttl), patience=ttl)
        # A lease request before the first liveness record returned no jobs: ask again.
        self._may_lease.set()
        await asyncio.sleep(ttl / 3)

    async def _follow_changes(self) -> None:
        """Wake the lease loop when jobs or the capacity change; stop work on jobs that ended."""
        since: tuple[str, int] | None = None
        while True:
            changes = await self._client.changes(since, CHANGES_SECONDS)
            since = (changes.epoch, changes.version)
            self._may_lease.set()
            held = self._jobs if changes.missed else set(changes.job_ids) & self._jobs.keys()
            await asyncio.gather(*(self._stop_if_lost(job_id) for job_id in list(held)))

    async def _stop_if_lost(self, job_id: str) -> None:
        """Stop the work on a job if this attempt no longer has it."""
        held = self._jobs.get(job_id)
        if held is None:
            return  # it has just ended
        record, task = held
        if not await self._client.apply(IsOwner(job_id, record.attempt)):
            task.cancel()

    async def _report(self) -> None:
        """Report progress, if there is any."""
        await self._reports.wait()
        await self._reports.send()
        await asyncio.sleep(REPORT_EVERY)

    async def _lease(self) -> None:
        """Lease the jobs that the engines can start now."""
        await self._may_lease.wait()
        self._may_lease.clear()
        if self._draining:
            return
        self._request = self._request or uuid.uuid4().hex
        request = LeaseRequest(
            self.name, self._request, self._planners, self._cluster, self._decoders
        )
        # Repeated with the same request_id until there is a result: no leased job can be missed.
        try:
            records = await self._client.lease(request, patience=FOREVER)
        except Exception:
            self._may_lease.set()
            raise
        self._request = ""
        for record in records:
            self._run(record)

    async def _collect_garbage(self) -> None:
        await asyncio.sleep(self._settings.jobs.purge_every)
        await self._collector.collect_garbage()

    def _run(self, record: JobRecord) -> None:
        if earlier := self._jobs.get(record.job_id):
            earlier[1].cancel()  # an attempt that lost its job when this runner's lease expired
        with work_for(job_id=record.job_id, attempt=record.attempt):
            task = asyncio.create_task(self._end(record), name=record.job_id)
        self._jobs[record.job_id] = (record, task)

    async def _end(self, record: JobRecord) -> None:
        """Run one job to its end. A bad record must not keep other jobs from running."""
        try:
            await Workflow(record, self._engines, self, self._settings, self._tracer).run()
        except ValueError:  # pydantic's: written by another release, in another format
            logger.exception("Job %s cannot be read", record.job_id)
            error = "The job was stored by another version of the service and cannot be read."
            await self.write(
                Finish(record.job_id, record.attempt, error=error, error_code=ErrorCode.INTERNAL)
            )
        finally:
            if self._jobs.get(record.job_id, (None,))[0] is record:
                del self._jobs[record.job_id]
            self._reports.drop(record.job_id, record.attempt)
            self._may_lease.set()
