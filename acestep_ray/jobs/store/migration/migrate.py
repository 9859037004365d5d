"""Moves all jobs from a SQLite store to a Redis store, while no service runs on either."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from acestep_ray.jobs.store.errors import StoreUnsuitable
from acestep_ray.jobs.store.migration.counts import Counts
from acestep_ray.jobs.store.migration.redis_import import RedisRestore
from acestep_ray.jobs.store.migration.sqlite_export import SqliteExport
from acestep_ray.jobs.store.stored_change import stored_change

BATCH = 200
"""Rows that are written in one call."""

Row = tuple[str, dict[str, Any]]
"""Name of an operation of the target, and its fields."""


def migrate(
    source: Path, url: str, password: str | None = None, report: Callable[[str], None] = print
) -> Counts:
    """Copy the jobs in the SQLite file ``source`` into the empty Redis at ``url``.

    Returns what was copied; ``report`` receives a line per batch. Jobs that a runner had go back to
    their places in the queue, without a webhook message. The file does not change, except for its
    schema, which becomes the newest. An interrupted migration is run again from its beginning.

    Raises StoreUnavailable and StoreUnsuitable, StoreLocked while a service runs on the file.
    """
    target = RedisRestore(url, password)
    try:
        with SqliteExport(source) as export:
            counts = export.counts()
            target.begin(str(source), export.last_place())
            for what, number, rows in (
                ("jobs", sum(counts.jobs.values()), _jobs(export)),
                ("webhook messages", counts.deliveries, _deliveries(export)),
                ("idempotency keys", counts.keys, _keys(export)),
                ("ids of expired jobs", counts.tombstones, _tombstones(export)),
                ("ids of jobs whose audio is to be removed", counts.garbage, _garbage(export)),
            ):
                for done in _copy(target, rows):
                    report(f"{done:,} of {number:,} {what}")
            _verify(counts, target.counts())
        target.finish()
    finally:
        target.close()
    return counts


def _copy(target: RedisRestore, rows: Iterator[Row]) -> Iterator[int]:
    """Write the rows; yields after each batch how many are written."""
    done = 0
    while batch := list(islice(rows, BATCH)):
        target.write(batch)
        done += len(batch)
        yield done


def _verify(wanted: Counts, found: Counts) -> None:
    if found != wanted:
        raise StoreUnsuitable(
            f"The copy is not whole: there were {asdict(wanted)}, and there are {asdict(found)};"
            " run the command again."
        )


def _jobs(export: SqliteExport) -> Iterator[Row]:
    for job, texts in export.jobs():
        columns = {name: value for name, value in vars(job).items() if value is not None}
        yield "Restore", {"job": columns, "texts": texts}


def _deliveries(export: SqliteExport) -> Iterator[Row]:
    for record in export.deliveries():
        columns = {name: value for name, value in vars(record).items() if value is not None}
        change = stored_change(columns.pop("change"))
        yield "RestoreDelivery", {"delivery": columns, "change": change}


def _keys(export: SqliteExport) -> Iterator[Row]:
    names = ("owner", "key", "job_id", "fingerprint", "created_at")
    for row in export.idempotency_keys():
        yield "RestoreKey", dict(zip(names, row, strict=True))


def _tombstones(export: SqliteExport) -> Iterator[Row]:
    for job_id, expired_at in export.tombstones():
        yield "RestoreTombstone", {"job_id": job_id, "expired_at": expired_at}


def _garbage(export: SqliteExport) -> Iterator[Row]:
    for job_id in export.garbage():
        yield "RestoreGarbage", {"job_id": job_id}
