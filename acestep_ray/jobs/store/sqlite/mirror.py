"""What of the queue is kept in memory beside the table: places and counts.

Only so that a position and the counts cost no scan; the table is the truth. It is read anew when
the store opens and after every rollback.
"""

import sqlite3
from collections import Counter, deque

from sortedcontainers import SortedList

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.sqlite.row import Job

_EMPTY_REQUESTS = 1000


class QueueMirror:
    """Places of the queued jobs in order, and how many jobs there are in each status."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.places = SortedList(
            place for (place,) in db.execute("SELECT place FROM jobs WHERE status = 'queued'")
        )
        self.counts = dict.fromkeys(Status, 0)
        for status, count in db.execute("SELECT status, COUNT(*) FROM jobs GROUP BY status"):
            self.counts[Status(status)] = count
        # Of the queued, those that wait for a plan, by planner.
        self.queued_for_plan: Counter[str] = Counter(
            dict(
                db.execute(
                    "SELECT planner, COUNT(*) FROM jobs WHERE status = 'queued' AND plan_pending"
                    " GROUP BY planner"
                )
            )
        )
        # Lease requests that found nothing: repeated, they must find nothing again. Not worth a
        # write each; after a restart a repeated one is answered as new, to the one who asks again.
        self.empty_requests: deque[tuple[str, str]] = deque(maxlen=_EMPTY_REQUESTS)

    def position(self, job: Job) -> int:
        """1 = next among the queued, 0 when not queued. O(log n)."""
        if job.status is not Status.QUEUED:
            return 0
        return int(self.places.bisect_left(job.place)) + 1

    def add(self, job: Job) -> None:
        """Count a job as it is now."""
        self.counts[job.status] += 1
        if job.status is Status.QUEUED:
            self.places.add(job.place)
            if job.plan_pending:
                self.queued_for_plan[job.planner] += 1

    def remove(self, job: Job) -> None:
        """Count a job no more; ``job`` as it was added."""
        self.counts[job.status] -= 1
        if job.status is Status.QUEUED:
            self.places.remove(job.place)
            if job.plan_pending:
                self.queued_for_plan[job.planner] -= 1
                if not self.queued_for_plan[job.planner]:
                    del self.queued_for_plan[job.planner]
