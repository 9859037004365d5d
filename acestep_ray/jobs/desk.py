"""The job desk: the store, its maintenance, its feed and what is only in memory, as one thing.

The named actor is a thin shell around it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from acestep_ray.jobs.board import read_boards
from acestep_ray.jobs.changes import ChangeFeed
from acestep_ray.jobs.demand import Demand
from acestep_ray.jobs.eta import Waits
from acestep_ray.jobs.group_commit import GroupCommit
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.neighbours import Neighbours
from acestep_ray.jobs.picture import Picture, Speed, measured
from acestep_ray.jobs.reports import Reports
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import Capacity, Changes, QueueStats, Snapshot
from acestep_ray.jobs.store.protocol import (
    Backlog,
    Cancel,
    Get,
    Goodbye,
    Grace,
    Heard,
    JobRecord,
    JobStore,
    KeepAlive,
    Lease,
    ListJobs,
    Op,
    Owns,
    Purge,
    Stats,
    StoreStats,
    StoreUnavailable,
    Sweep,
)
from acestep_ray.settings import Settings
from acestep_ray.shared_work import SharedCall, start_task

logger = logging.getLogger(__name__)

PICTURE_SECONDS = 1.0
"""How old the picture of all jobs may be: a poll must not read every job there is."""


class JobDesk:
    """Answers everybody's operations from one store. In one event loop.

    ``store_factory`` opens the store, in the thread that then uses it. ``clock``: epoch seconds.
    """

    def __init__(
        self,
        store_factory: Callable[[], JobStore],
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._jobs = settings.jobs
        self._clock = clock
        self._default_seconds = settings.defaults.job_seconds
        self._ours = Picture((), Speed(self._default_seconds))
        self._waits = Waits(self._ours, Capacity())
        self._pictured_at = float("-inf")
        self._take_picture = SharedCall(self._take_new_picture)
        self._cluster = ""
        self._store = GroupCommit(store_factory, clock, self._publish)
        self._feed = ChangeFeed()
        self._reports = Reports()
        self._planners: frozenset[str] = frozenset()  # that our runners lease for
        self._neighbours: Neighbours | None = None
        self._maintenance: asyncio.Task[None] | None = None
        self._purge_at = time.monotonic()
        self._swept_at = self._graced_at = self._times()

    async def open(self) -> None:
        """Open the store and begin maintenance. Raises what the factory raises; a desk that could
        not be opened is of no further use.

        Runners that were alive when the store was last open get the time of a lease to speak up,
        unless other desks have just swept it, as each does three times a lease.
        """
        lease = self._jobs.lease_seconds
        try:
            await self._store.open()
            await self._ask([Grace(lease, since=self._clock() - lease / 2)])
        except BaseException:
            await self._store.close()
            raise
        self._swept_at = self._graced_at = self._times()
        if (peers := self._store.peers()) is not None:
            self._neighbours = Neighbours(peers, self._board, self._hear)
        self._maintenance = start_task(self._maintain(), name="job desk maintenance")

    async def close(self) -> None:
        """Finish what was asked, answer whoever waits, and let go of the store."""
        maintenance, self._maintenance = self._maintenance, None
        if maintenance is not None:
            maintenance.cancel()
            await asyncio.gather(maintenance, return_exceptions=True)
        neighbours, self._neighbours = self._neighbours, None
        if neighbours is not None:
            await neighbours.close()
        self._feed.close()
        await self._store.close()

    async def apply(self, batch: Sequence[Op]) -> list[object]:
        """Apply operations in order, together with other callers'; durable on return.

        Answers as JobStore.apply, but Get, ListJobs and Cancel answer with Snapshots. Raises
        StoreUnavailable, and then nothing of the batch has happened; RuntimeError when the desk has
        stopped and must be replaced.
        """
        self.check()
        batch = [self._leave_to_others(op) if isinstance(op, Lease) else op for op in batch]
        answers = await self._ask(batch)
        if any(isinstance(op, Get | ListJobs) for op in batch):
            with contextlib.suppress(StoreUnavailable):  # the batch is done; an old picture will do
                await self._look()
        return [self._seen(op, answer) for op, answer in zip(batch, answers, strict=True)]

    async def report(
        self, runner: str, capacity: Capacity, progress: list[tuple[str, int, Progress]]
    ) -> None:
        """Note what a runner sees deployed, and (job, attempt, progress) of some of its jobs.

        Kept in memory; the word of an attempt that does not have its job is dropped.
        """
        self._reports.keep_alive(runner, self._clock() + self._jobs.lease_seconds)
        self._reports.note_capacity(runner, capacity)
        unknown = [
            (job_id, attempt)
            for job_id, attempt, _ in progress
            if not self._reports.knows(job_id, attempt)
        ]
        owned = set(await self._owned(unknown))
        for job_id, attempt, word in progress:
            if (job_id, attempt) in owned or self._reports.knows(job_id, attempt):
                self._reports.note(job_id, attempt, word)

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        """Which jobs changed after ``since`` (epoch, version); waits up to ``seconds`` for one."""
        return await self._feed.since(since, seconds)

    async def stats(self) -> QueueStats:
        """Counts and figures, as of now."""
        self.check()
        (counts,) = await self._ask([Stats()])
        assert isinstance(counts, StoreStats)
        speed = measured(counts, self._default_seconds)
        capacity = self._reports.capacity_everywhere(self._clock())
        return QueueStats(counts, capacity, speed.job_seconds)

    async def demand(self) -> Demand:
        """What is asked of this cluster's engines now; their ``slots`` are not known here.

        Raises StoreUnavailable.
        """
        self.check()
        await self._look()
        ours = self._ours
        plans = {planner: len(places) for planner, places in ours.planned_places.items()}
        return Demand(plans, ours.decodes, ours.decode_seconds)

    def check(self) -> None:
        """Raise RuntimeError when maintenance has ended, which it never does by itself: without it
        lost jobs would stay lost, so the desk must be replaced."""
        task = self._maintenance
        if task is not None and task.done():
            cause = None if task.cancelled() else task.exception()
            raise RuntimeError("The job desk's maintenance has ended.") from cause

    async def _ask(self, batch: Sequence[Op]) -> list[object]:
        answers = await self._store.apply(batch)
        for op in batch:
            if isinstance(op, KeepAlive):
                self._reports.keep_alive(op.runner, self._clock() + op.ttl)
            elif isinstance(op, Goodbye):
                self._reports.goodbye(op.runner)
            elif isinstance(op, Lease):
                self._cluster = op.cluster  # of all runners that this desk serves
        return answers

    async def _owned(self, attempts: list[tuple[str, int]]) -> list[tuple[str, int]]:
        if not attempts:
            return []
        answers = await self._ask([Owns(*attempt) for attempt in attempts])
        return [attempt for attempt, owned in zip(attempts, answers, strict=True) if owned is True]

    async def _look(self) -> None:
        """Take the picture anew if it is old. Raises StoreUnavailable."""
        if not 0 <= self._clock() - self._pictured_at < PICTURE_SECONDS:
            await self._take_picture()

    async def _take_new_picture(self) -> None:
        now = self._clock()
        backlog, counts = await self._ask([Backlog(), Stats()])
        assert isinstance(backlog, list)
        assert isinstance(counts, StoreStats)
        speed = measured(counts, self._default_seconds)
        left = self._reports.decode_left
        self._ours = Picture(backlog, speed, left, self._cluster)
        everywhere = self._reports.capacity_everywhere(now)
        self._waits = Waits(Picture(backlog, speed, left), everywhere)
        self._pictured_at = now

    def _seen(self, op: Op, answer: object) -> object:
        if isinstance(op, Get | Cancel) and isinstance(answer, JobRecord):
            return self._snapshot(answer)
        if isinstance(op, ListJobs) and isinstance(answer, list):
            return [self._snapshot(record) for record in answer]
        return answer

    def _snapshot(self, record: JobRecord) -> Snapshot:
        queued = record.status is Status.QUEUED
        return Snapshot(
            record=record,
            progress=self._reports.progress(record),
            eta_seconds=self._waits.eta_seconds(record) if queued else None,
            expires_at=None if record.finished_at is None else record.finished_at + self._jobs.keep,
        )

    def _publish(self, changes: list[tuple[str, Status]]) -> None:
        self._reports.drop(job_id for job_id, status in changes if status is not Status.RUNNING)
        self._feed.publish(job_id for job_id, _ in changes)

    def _board(self) -> str:
        return self._reports.board(self._planners, self._clock()).model_dump_json()

    def _hear(self, heard: Heard) -> None:
        self._reports.hear(read_boards(heard.boards))
        self._publish(heard.changes)
        if heard.missed:
            self._feed.miss()

    def _leave_to_others(self, lease: Lease) -> Lease:
        """Lease no job whose planner another cluster has and this one has not."""
        self._planners = frozenset(lease.planner_slots)
        others = dict.fromkeys(self._reports.planners_elsewhere(), 0)
        return replace(lease, planner_slots={**others, **lease.planner_slots})

    async def _maintain(self) -> None:
        """Sweep and purge for ever. What fails is logged and comes again."""
        while True:
            await asyncio.sleep(self._jobs.lease_seconds / 3)
            try:
                await self._sweep()
                await self._purge()
            except StoreUnavailable as error:
                logger.warning("Job maintenance is put off: %s", error)
            except Exception:
                logger.exception("Job maintenance failed; it goes on")

    async def _sweep(self) -> None:
        """Take back the jobs of runners that are gone.

        If this comes late, the desk was away (a locked database, a stopped process), and runners
        could not be heard: that is not their silence, and they get the time of a lease again. Not
        over and over: on a machine where it is always late, dead runners must lapse all the same.
        """
        lease = self._jobs.lease_seconds
        times = self._times()
        away = _between(self._swept_at, times)
        # A job that ran when the desk was away has not run too long: its runner may be long dead.
        settled = _between(self._graced_at, times) > lease
        timeout = self._jobs.timeout if settled else float("inf")
        sweep: list[Op] = [Sweep(self._jobs.max_starts, timeout)]
        if away > lease * 2 / 3 and _between(self._graced_at, times) > lease * 2:
            # Another desk that swept meanwhile, out of step with this one, was not away.
            grace = Grace(lease, since=self._swept_at[0] + lease / 3)
            await self._ask([grace, Sweep(self._jobs.max_starts, float("inf"))])
            logger.warning("The job store was away for %.1f s; no runner lapses for it", away)
            self._graced_at = times
        else:
            await self._ask(sweep)
        self._swept_at = times
        self._reports.forget_lapsed(self._clock())
        kept = self._reports.attempts()
        owned = set(await self._owned(kept))
        self._reports.drop(job_id for job_id, attempt in kept if (job_id, attempt) not in owned)

    def _times(self) -> tuple[float, float]:
        """Now, by the clock that leases run on and by the one that nobody sets."""
        return self._clock(), time.monotonic()

    async def _purge(self) -> None:
        if time.monotonic() < self._purge_at:
            return
        purge = Purge(self._jobs.keep, self._jobs.keep_expired, self._jobs.keep_idempotency)
        while (await self._ask([purge]))[0] == purge.limit:
            logger.info("%d ended jobs have expired; there are more", purge.limit)
        self._purge_at = time.monotonic() + self._jobs.purge_every


def _between(then: tuple[float, float], now: tuple[float, float]) -> float:
    """Seconds, by the clock that says more: one is set forward at times, and the other stands still
    while the machine sleeps."""
    return max(now[0] - then[0], now[1] - then[1])
