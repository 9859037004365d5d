"""Leases jobs and runs them: the loop behind the runner deployment."""

import asyncio
import logging
import uuid
from typing import Any, Protocol

from acestep_ray.audio.artifacts import Artifacts
from acestep_ray.jobs.janitor import Janitor
from acestep_ray.jobs.job import ErrorCode
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.roster import RosterView, Version
from acestep_ray.jobs.snapshot import Capacity, Changes
from acestep_ray.jobs.store.protocol import (
    Finish,
    Goodbye,
    JobRecord,
    KeepAlive,
    Lease,
    Op,
    Owns,
)
from acestep_ray.jobs.workflow import Engines, Workflow
from acestep_ray.planner.pairs import planners_of
from acestep_ray.settings import Settings

logger = logging.getLogger(__name__)

FEED_SECONDS = 10.0
"""Longest a look at the feed waits."""
FOREVER = 7 * 86400.0
"""Seconds: how long work that is done waits to be written down."""
PAUSE = 0.5
"""Seconds before what failed is tried again."""
REPORT_EVERY = 0.5
"""Seconds between two reports, at least."""


class Desk(Protocol):
    """The job store actor, as the runner calls it. Waits out an actor that is away."""

    async def apply(self, op: Op, patience: float = 20.0) -> Any:
        """Apply one store operation."""
        ...

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        """Long-poll the feed."""
        ...

    async def report(
        self, runner: str, capacity: Capacity, progress: list[tuple[str, int, Progress]]
    ) -> None:
        """Tell how far jobs are."""
        ...

    async def roster(self, seen: Version | None, seconds: float) -> RosterView:
        """Long-poll which engine replicas live."""
        ...


class Runner:
    """One a process. ``start`` it in its event loop, ``drain`` it before the process ends.

    ``cluster``: whose engines these are, where several clusters share the store.
    """

    def __init__(
        self,
        desk: Desk,
        engines: Engines,
        artifacts: Artifacts,
        settings: Settings,
        cluster: str = "",
    ) -> None:
        self.name = f"runner-{uuid.uuid4().hex[:12]}"
        self._desk = desk
        self._engines = engines
        self._settings = settings
        self._cluster = cluster
        self._planners = [planner.name for planner in planners_of(settings)]
        self._janitor = Janitor(desk, artifacts, settings)
        self._capacity = Capacity()
        self._jobs: dict[str, tuple[JobRecord, asyncio.Task[None]]] = {}
        self._news: dict[str, tuple[int, Progress]] = {}
        self._look = asyncio.Event()  # something may be leased now
        self._to_report = asyncio.Event()
        self._request = ""  # of the lease that is not answered yet
        self._draining = False
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin leasing."""
        loops = (
            self._keep_alive,
            self._follow_feed,
            self._follow_roster,
            self._report,
            self._lease,
            self._tidy,
        )
        for loop in loops:
            self._loops.append(asyncio.create_task(self._forever(loop), name=loop.__name__))

    def check(self) -> None:
        """Raise RuntimeError when one of the loops has ended: the replica must be replaced."""
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
        await self._desk.apply(Goodbye(self.name))

    async def tell(self, op: Op) -> bool:
        """See workflow.Ledger: the store's answer, however long the store is away."""
        while True:
            try:
                return bool(await self._desk.apply(op, patience=FOREVER))
            except Exception:
                # Untold, the job would stay with this runner and never end.
                logger.exception("%s was not written; trying again", type(op).__name__)
                await asyncio.sleep(PAUSE)

    def progress(self, job_id: str, attempt: int, progress: Progress) -> None:
        """See workflow.Ledger."""
        self._news[job_id] = (attempt, progress)
        self._to_report.set()

    async def _forever(self, loop: Any) -> None:
        """Run a loop's body again and again; a failure is logged and tried again."""
        while True:
            try:
                await loop()
            except Exception:
                logger.exception("The runner's %s loop failed; it goes on", loop.__name__)
                await asyncio.sleep(PAUSE)

    async def _keep_alive(self) -> None:
        ttl = self._settings.jobs.lease_seconds
        await self._desk.apply(KeepAlive(self.name, ttl), patience=ttl)
        # A look that came while the store did not know this runner found nothing, and what it
        # reported may be forgotten.
        self._look.set()
        self._to_report.set()
        await asyncio.sleep(ttl / 3)

    async def _follow_feed(self) -> None:
        """Wake the lease loop when jobs change, and stop the work on jobs that were ended."""
        since: tuple[str, int] | None = None
        while True:
            changes = await self._desk.changes(since, FEED_SECONDS)
            since = (changes.epoch, changes.version)
            self._look.set()
            held = self._jobs if changes.missed else set(changes.job_ids) & self._jobs.keys()
            await asyncio.gather(*(self._verify(job_id) for job_id in list(held)))

    async def _verify(self, job_id: str) -> None:
        """Stop the work on a job that this attempt no longer has."""
        held = self._jobs.get(job_id)
        if held is None:
            return  # it has just ended
        record, task = held
        if not await self._desk.apply(Owns(job_id, record.attempt)):
            task.cancel()

    async def _follow_roster(self) -> None:
        """See what is deployed."""
        seen: Version | None = None
        while True:
            view = await self._desk.roster(seen, FEED_SECONDS)
            seen = view.version
            if (capacity := view.capacity()) != self._capacity:
                self._capacity = capacity
                self._look.set()
                self._to_report.set()

    async def _report(self) -> None:
        """Tell progress, and what is deployed, when there is something to tell."""
        await self._to_report.wait()
        self._to_report.clear()
        news, self._news = self._news, {}
        progress = [(job_id, attempt, word) for job_id, (attempt, word) in news.items()]
        await self._desk.report(self.name, self._capacity, progress)
        await asyncio.sleep(REPORT_EVERY)

    async def _lease(self) -> None:
        """Take what the engines can start now."""
        await self._look.wait()
        self._look.clear()
        if self._draining:
            return
        # What has no replica waits in the store, where autoscaling sees it. One plan may always be
        # taken: that of a planner which is deployed no more is made by another (planner_for).
        slots = self._capacity.planner_slots
        self._request = self._request or uuid.uuid4().hex
        lease = Lease(
            self.name,
            self._request,
            plan_slots=max(1, sum(slots.get(planner, 0) for planner in self._planners)),
            decode_slots=self._capacity.decode_slots,
            planner_slots={planner: slots.get(planner, 0) for planner in self._planners},
            cluster=self._cluster,
        )
        # Repeated under its own request_id until it is answered: what was leased is never unknown.
        try:
            records = await self._desk.apply(lease, patience=FOREVER)
        except Exception:
            self._look.set()
            raise
        self._request = ""
        for record in records:
            self._run(record)

    async def _tidy(self) -> None:
        await asyncio.sleep(self._settings.jobs.purge_every)
        await self._janitor.tidy()

    def _run(self, record: JobRecord) -> None:
        if earlier := self._jobs.get(record.job_id):
            earlier[1].cancel()  # an attempt that lost its job while this runner was unheard of
        task = asyncio.create_task(self._end(record), name=record.job_id)
        self._jobs[record.job_id] = (record, task)

    async def _end(self, record: JobRecord) -> None:
        """Run one job, whatever becomes of it; no record may keep others from running."""
        try:
            await Workflow(record, self._engines, self, self._settings).run()
        except ValueError:  # pydantic's: written by a release that this one does not understand
            logger.exception("Job %s cannot be read", record.job_id)
            sentence = "The job was stored by another version of the service and cannot be read."
            await self.tell(
                Finish(record.job_id, record.attempt, error=sentence, error_code=ErrorCode.INTERNAL)
            )
        finally:
            if self._jobs.get(record.job_id, (None,))[0] is record:
                del self._jobs[record.job_id]
            self._news.pop(record.job_id, None)
            self._look.set()
