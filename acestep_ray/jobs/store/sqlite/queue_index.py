"""An index of the queue in memory: places and counts.

With it, a position and the counts need no scan of the table. If index and table differ, the table
is right: the index is read from it when the store opens and after every rollback.
"""

import sqlite3
from collections import Counter, deque

from sortedcontainers import SortedList

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.sqlite.row import JobRow

_EMPTY_REQUESTS = 1000


class QueueIndex:
    """Places of the queued jobs in order, and how many jobs there are in each status."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.places = SortedList(
            place for (place,) in db.execute("SELECT place FROM jobs WHERE status = 'queued'")
        )
        self.counts = dict.fromkeys(Status, 0)
        for status, count in db.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status"):
            self.counts[Status(status)] = count
        # Queued jobs that wait for a plan, by planner.
        self.queued_for_plan: Counter[str] = Counter(
            dict(
                db.execute(
                    "SELECT planner, COUNT(*) FROM jobs WHERE status = 'queued' AND plan_pending"
                    " GROUP BY planner"
                )
            )
        )
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
            if job.plan_pending:
                self.queued_for_plan[job.planner] += 1

    def remove(self, job: JobRow) -> None:
        """Remove a job; ``job`` as it was added."""
        self.counts[job.status] -= 1
        if job.status is Status.QUEUED:
            self.places.remove(job.place)
            if job.plan_pending:
                self.queued_for_plan[job.planner] -= 1
                if not self.queued_for_plan[job.planner]:
                    del self.queued_for_plan[job.planner]
