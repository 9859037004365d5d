"""The SQLite job store with 10 and with 10,000 jobs queued: each operation, and the ratio.

Both sizes are measured in one run, in turns, so that the ratio says what the queue's length costs.
"""

import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from acestep_ray.jobs.store.protocol import Cancel, Get, KeepAlive, Lease, Release, Stats, Submit
from acestep_ray.jobs.store.sqlite import SqliteStore

SIZES = (10, 10_000)
ROUNDS = 200


class Queue:
    """A store with ``size`` queued jobs."""

    def __init__(self, folder: Path, size: int) -> None:
        self.store = SqliteStore(folder / f"{size}.sqlite")
        self.ids = [str(uuid.uuid4()) for _ in range(size)]
        for start in range(0, size, 500):
            self.store.apply(
                [self.submission(job_id) for job_id in self.ids[start : start + 500]], 0.0
            )
        self.store.apply([KeepAlive("runner", 1e9)], 0.0)

    @staticmethod
    def submission(job_id: str) -> Submit:
        """A job of usual size."""
        return Submit(job_id, "x" * 2000, needs_plan=False, max_queued=1_000_000)

    def submit(self) -> None:
        """One job more; taken back, so that the length stays."""
        job_id = str(uuid.uuid4())
        self.store.apply([self.submission(job_id)], 1.0)
        self.store.apply([Cancel(job_id)], 1.0)

    def position_of_the_last(self) -> None:
        """What a client that polls pays."""
        self.store.apply([Get(self.ids[-1])], 1.0)

    def lease(self) -> None:
        """One job out, and back to its place."""
        (jobs,) = self.store.apply([Lease("runner", uuid.uuid4().hex, 1, 1)], 1.0)
        assert isinstance(jobs, list)
        self.store.apply([Release(jobs[0].job_id, jobs[0].attempt, lost=False)], 1.0)

    def stats(self) -> None:
        """What /v1/stats pays."""
        self.store.apply([Stats()], 1.0)


def seconds(action: Callable[[], None]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        queues = [Queue(Path(folder), size) for size in SIZES]
        print(f"{'median, ms':<24}{'10 queued':>12}{'10,000 queued':>16}{'ratio':>8}")
        for name in ("submit", "position_of_the_last", "lease", "stats"):
            taken: list[list[float]] = [[], []]
            for _ in range(ROUNDS):
                for queue, times in zip(queues, taken, strict=True):
                    times.append(seconds(getattr(queue, name)))
            few, many = (statistics.median(times) * 1000 for times in taken)
            print(f"{name:<24}{few:>12.3f}{many:>16.3f}{many / few:>8.2f}")
        for queue in queues:
            queue.store.close()


if __name__ == "__main__":
    main()
