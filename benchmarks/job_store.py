"""The job stores with 10 and with 10,000 jobs queued: each operation, and the ratios.

All are measured in one run, in turns, so the ratios show the cost of the length of the queue, and
of Redis compared with SQLite. Both write through: a batch is on disk before it is acknowledged.
"""

import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from acestep_ray.jobs.store.answers import stored
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Get, KeepAlive, Lease, Release, Stats, Submit
from acestep_ray.jobs.store.protocol import JobStore
from acestep_ray.jobs.store.redis import RedisStore
from acestep_ray.jobs.store.sqlite import SqliteStore

SIZES = (10, 10_000)
ROUNDS = 200


class Queue:
    """A store with ``size`` queued jobs."""

    def __init__(self, store: JobStore, size: int) -> None:
        self.store = store
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
        """One more job; removed again, so that the length stays the same."""
        job_id = str(uuid.uuid4())
        self.store.apply([self.submission(job_id)], 1.0)
        self.store.apply([Cancel(job_id)], 1.0)

    def submit_a_hundred(self) -> None:
        """In one batch, as under load; removed again."""
        ids = [str(uuid.uuid4()) for _ in range(100)]
        self.store.apply([self.submission(job_id) for job_id in ids], 1.0)
        self.store.apply([Cancel(job_id) for job_id in ids], 1.0)

    def position_of_the_last(self) -> None:
        """What a client that polls costs."""
        self.store.apply([Get(self.ids[-1])], 1.0)

    def lease(self) -> None:
        """One job leased, and returned to its place."""
        lease = Lease("runner", uuid.uuid4().hex, 1, 1)
        (job,) = stored(lease, self.store.apply([lease], 1.0)[0])
        self.store.apply([Release(job.job_id, job.attempt, lost=False)], 1.0)

    def stats(self) -> None:
        """What /v1/stats costs."""
        self.store.apply([Stats()], 1.0)


def seconds(action: Callable[[], None]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def redis_store(socket: Path, database: int) -> RedisStore:
    """A store on the server at ``socket``, as soon as the server runs."""
    while True:
        try:
            return RedisStore(f"unix://{socket}?db={database}")
        except StoreUnavailable:
            time.sleep(0.1)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        socket = Path(folder) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--dir", folder, "--save", ""]
        options += ["--appendonly", "yes", "--appendfsync", "always"]
        with subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL) as server:
            try:
                measure(Path(folder), socket)
            finally:
                server.kill()


def measure(folder: Path, socket: Path) -> None:
    """Each operation on each store, in turns."""
    queues = [Queue(SqliteStore(folder / f"{size}.sqlite"), size) for size in SIZES]
    queues += [Queue(redis_store(socket, number), size) for number, size in enumerate(SIZES)]
    print(f"{'':<24}{'SQLite':>26}{'':>8}{'Redis':>26}{'':>8}{'Redis / SQLite':>24}")
    halves = f"{'10 queued':>12}{'10,000':>14}{'ratio':>8}"
    print(f"{'median, ms':<24}{halves}{halves}{'10 queued':>14}{'10,000':>10}")
    for name in ("submit", "submit_a_hundred", "position_of_the_last", "lease", "stats"):
        taken: list[list[float]] = [[] for _ in queues]
        for _ in range(ROUNDS):
            for queue, times in zip(queues, taken, strict=True):
                times.append(seconds(getattr(queue, name)))
        few, many, redis_few, redis_many = (statistics.median(times) * 1000 for times in taken)
        print(
            f"{name:<24}{few:>12.3f}{many:>14.3f}{many / few:>8.2f}"
            f"{redis_few:>12.3f}{redis_many:>14.3f}{redis_many / redis_few:>8.2f}"
            f"{redis_few / few:>14.2f}{redis_many / many:>10.2f}"
        )
    for queue in queues:
        queue.store.close()


if __name__ == "__main__":
    main()
