"""Reads everything in a SQLite store, for a migration to another store."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from acestep_ray.jobs.job import Event, Status, after
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.migration.counts import Counts
from acestep_ray.jobs.store.records import DeliveryRecord
from acestep_ray.jobs.store.sqlite import delivery_rows
from acestep_ray.jobs.store.sqlite.lock import OwnerLock
from acestep_ray.jobs.store.sqlite.row import COLUMNS, JobRow, job_of_row
from acestep_ray.jobs.store.sqlite.schema import migrate


class SqliteExport:
    """The store in the file at ``path``; its only owner until the ``with`` block ends.

    Raises StoreLocked while a service runs on it, StoreUnavailable if there is no such file,
    SchemaTooNew if a later release wrote it.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise StoreUnavailable(f"There is no job store {path}.")
        self._lock = OwnerLock(path.with_name(path.name + ".lock"), wait=0)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            migrate(self._db)
        except BaseException as error:
            self._lock.release()
            if isinstance(error, sqlite3.DatabaseError):
                raise StoreUnavailable(f"The job store {path} cannot be read: {error}.") from error
            raise

    def __enter__(self) -> "SqliteExport":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._db.close()
        self._lock.release()

    def last_place(self) -> int:
        """The highest place that a job ever had."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'").fetchone()
        return int(found[0]) if found else 0

    def jobs(self) -> Iterator[tuple[JobRow, dict[str, str]]]:
        """Every job with its texts (spec, and plan and result if it has them), in the order of
        places.

        A leased job is given back to its place and its start is not counted: it has no runner.
        """
        columns = ", ".join(f"jobs.{column}" for column in COLUMNS.split(", "))
        rows = self._db.execute(
            f"SELECT {columns}, spec, plan, result FROM jobs JOIN texts USING (place)"
            " ORDER BY place"
        )
        for *row, spec, plan, result in rows:
            texts = {"spec": spec, "plan": plan, "result": result}
            job = job_of_row(tuple(row))
            yield given_back(job), {name: text for name, text in texts.items() if text is not None}

    def deliveries(self) -> Iterator[DeliveryRecord]:
        """Every webhook message, oldest first. One that is being tried is due again when its lease
        ends."""
        yield from delivery_rows.select(self._db, "TRUE ORDER BY number")

    def idempotency_keys(self) -> Iterator[tuple[str, str, str, str, float]]:
        """Idempotency keys: owner, key, job_id, fingerprint, created_at."""
        yield from self._db.execute(
            "SELECT owner, key, job_id, fingerprint, created_at FROM idempotency"
        )

    def tombstones(self) -> Iterator[tuple[str, float]]:
        """Ids of deleted or expired jobs, and since when (epoch seconds)."""
        yield from self._db.execute("SELECT job_id, expired_at FROM tombstones")

    def garbage(self) -> Iterator[str]:
        """Ids of jobs whose audio may still be stored, oldest first."""
        for (job_id,) in self._db.execute("SELECT job_id FROM garbage ORDER BY number"):
            yield job_id

    def counts(self) -> Counts:
        """How many items ``jobs``, ``idempotency_keys``, ``tombstones``, ``garbage`` and
        ``deliveries`` yield."""
        jobs = dict.fromkeys(Status, 0)
        for status, leased, number in self._db.execute(
            "SELECT status, runner IS NOT NULL, COUNT(*) FROM jobs GROUP BY 1, 2"
        ):
            jobs[Status.QUEUED if leased else Status(status)] += number
        keys, tombstones, garbage, deliveries = (
            int(self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
            for table in ("idempotency", "tombstones", "garbage", "deliveries")
        )
        return Counts(jobs, keys, tombstones, garbage, deliveries)


def given_back(job: JobRow) -> JobRow:
    """The job as after the Deregister of its runner; unchanged if it has no runner."""
    if job.runner is None:
        return job
    return replace(
        job,
        status=after(job.status, Event.LOSE),
        starts=job.starts - (job.status is Status.RUNNING),
        started_at=None,
        runner=None,
        lease_request=None,
        cluster="",
    )
