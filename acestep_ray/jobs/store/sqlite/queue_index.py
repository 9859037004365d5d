"""An index of the queue in memory: places and counts.

With it, a position and the counts need no scan of the table. If index and table differ, the table
is right: the index is read from it when the store opens and after every rollback.
"""

import sqlite3
from collections import Counter, deque
from typing import TypeVar

from sortedcontainers import SortedList

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.sqlite.row import JobRow

_EMPTY_REQUESTS = 1000
Key = TypeVar("Key", str, tuple[str, str])


class QueueIndex:
    """Places of the queued jobs in order, and how many jobs there are in each status."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.places = SortedList(
            place for (place,) in db.execute("SELECT place FROM jobs WHERE status = 'queued'")
        )
        self.counts = dict.fromkeys(Status, 0)
        for status, count in db.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status"):
            self.counts[Status(status)] = count
        # Queued jobs that wait for a plan, by planner and decoder, and the others, by decoder.
        self.queued_for_plan: Counter[tuple[str, str]] = Counter()
        self.queued_to_decode: Counter[str] = Counter()
        for pending, planner, decoder, count in db.execute(
            "SELECT plan_pending, planner, decoder, COUNT(*) FROM jobs WHERE status = 'queued'"
            " GROUP BY plan_pending, planner, decoder"
        ):
            if pending:
                self.queued_for_plan[planner, decoder] = count
            else:
                self.queued_to_decode[decoder] += count
        # Lease requests that returned no jobs: if repeated, they must return none again. They are
        # not stored. After a restart, a repeated one is treated as new; only its sender gets the
        # jobs.
        self.empty_requests: deque[tuple[str, str]] = deque(maxlen=_EMPTY_REQUESTS)

    def position(self, job: JobRow) -> int:
        """1 = next among the queued jobs, 0 if not queued. O(log n)."""
        if job.status is not Status.QUEUED:
            return 0
        return int(self.places.bisect_left(job.place)) + 1

    def add(self, job: JobRow) -> None:
        """Add a job as it is now."""
        self.counts[job.status] += 1
        if job.status is Status.QUEUED:
            self.places.add(job.place)
            self._count(job, 1)

    def remove(self, job: JobRow) -> None:
        """Remove a job; ``job`` as it was added."""
        self.counts[job.status] -= 1
        if job.status is Status.QUEUED:
            self.places.remove(job.place)
            self._count(job, -1)

    def _count(self, job: JobRow, more: int) -> None:
        """Count a queued job for what it waits for."""
        if job.plan_pending:
            _add(self.queued_for_plan, (job.planner, job.decoder), more)
        else:
            _add(self.queued_to_decode, job.decoder, more)


def _add(counts: Counter[Key], key: Key, more: int) -> None:
    counts[key] += more
    if not counts[key]:
        del counts[key]
