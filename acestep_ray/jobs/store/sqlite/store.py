"""SqliteStore: a batch of operations is one transaction of one connection."""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store import protocol as p
from acestep_ray.jobs.store.sqlite import attempts, clients, leases, retention
from acestep_ray.jobs.store.sqlite.lock import OwnerLock
from acestep_ray.jobs.store.sqlite.schema import migrate
from acestep_ray.jobs.store.sqlite.table import JobTable

logger = logging.getLogger(__name__)

_READS = (p.Get, p.ListJobs, p.Owns, p.Garbage, p.Stats, p.Backlog)
_OPERATIONS: dict[type, Callable[[JobTable, Any, float], object]] = {
    p.Submit: clients.submit,
    p.Get: clients.get,
    p.ListJobs: clients.list_jobs,
    p.Cancel: clients.cancel,
    p.Delete: clients.delete,
    p.Stats: clients.stats,
    p.Backlog: clients.backlog,
    p.Lease: leases.lease,
    p.KeepAlive: leases.keep_alive,
    p.Goodbye: leases.goodbye,
    p.Sweep: leases.sweep,
    p.Grace: leases.grace,
    p.Owns: attempts.owns,
    p.Start: attempts.start,
    p.SavePlan: attempts.save_plan,
    p.Finish: attempts.finish,
    p.Release: attempts.release,
    p.Purge: retention.purge,
    p.Garbage: retention.garbage,
    p.Collected: retention.collected,
}
_SYNCHRONOUS = "FULL"  # in WAL mode less than this loses the last batches with the power
_VACUUM_PAGES = 5000
_MISUSE = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.InternalError,
    sqlite3.NotSupportedError,
)


class SqliteStore:
    """A JobStore in the SQLite file at ``path``, which is created where there is none.

    One process owns it: opening waits up to ``lock_wait`` seconds for the previous owner, then
    raises StoreLocked. ``busy_wait``: seconds a batch waits for a foreign program that has locked
    the file itself. Raises StoreUnavailable when the file cannot be opened, SchemaTooNew when a
    later release wrote it.
    """

    def __init__(self, path: Path, lock_wait: float = 10.0, busy_wait: float = 2.0) -> None:
        self._path = path
        self._busy_wait = busy_wait
        self._changes: list[tuple[str, Status]] = []
        self._db: sqlite3.Connection | None = None
        self._table: JobTable | None = None  # None: to be read anew
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = OwnerLock(path.with_name(path.name + ".lock"), lock_wait)
        except OSError as error:
            raise p.StoreUnavailable(f"The job store {path} cannot be opened: {error}.") from error
        try:
            self._open()
        except BaseException as error:
            self.close()
            self._tell(error)
            raise

    def apply(self, batch: Sequence[p.Op], now: float) -> list[object]:
        """See JobStore."""
        if self._closed:
            raise p.StoreUnavailable("The job store is closed.")
        try:
            table = self._table or self._open()
            if all(isinstance(op, _READS) for op in batch):
                return [_answer(table, op, now) for op in batch]
            table.db.execute("BEGIN IMMEDIATE")
            answers = [_answer(table, op, now) for op in batch]
            table.db.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            self._tell(error)
            raise
        self._changes += table.changes
        table.changes.clear()
        if any(isinstance(op, p.Purge) for op in batch):
            self._give_back_space(table.db)
        return answers

    def take_changes(self) -> list[tuple[str, Status]]:
        """See JobStore."""
        changes, self._changes = self._changes, []
        return changes

    def peers(self) -> None:
        """See JobStore. It has one owner."""

    def close(self) -> None:
        """See JobStore. Closing twice is closing once."""
        if self._closed:
            return
        self._closed = True
        self._table = None
        try:
            if self._db is not None:
                self._db.close()
        finally:
            self._lock.release()

    def _open(self) -> JobTable:
        if self._db is None:
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            try:
                db.execute(f"PRAGMA busy_timeout = {round(self._busy_wait * 1000)}")
                db.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
                if db.execute("PRAGMA page_count").fetchone() == (0,):
                    # It is fixed once the file has its first page.
                    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
                db.execute("PRAGMA journal_mode = WAL")
                migrate(db)
            except BaseException:
                db.close()
                raise
            self._db = db
        self._table = JobTable(self._db)
        return self._table

    def _roll_back(self) -> None:
        """Undo the open transaction; what memory mirrors of it is read anew by the next batch."""
        self._table = None
        if self._db is None:
            return
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            logger.exception("A rollback failed; the job store is opened anew")
            self._db.close()
            self._db = None

    def _tell(self, error: BaseException) -> None:
        """Raise StoreUnavailable for a failing database, not for a batch itself at fault."""
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _MISUSE):
            raise p.StoreUnavailable(
                f"The job store {self._path} cannot be used: {error}."
            ) from error

    def _give_back_space(self, db: sqlite3.Connection) -> None:
        """Shrink the file. The batch is durable already, so a failure here is not its failure."""
        try:
            db.execute("PRAGMA busy_timeout = 0")  # a foreign reader is not waited for
            # A page a step, and execute() takes one step of a statement without columns.
            db.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            logger.warning("The job store %s could not be shrunk: %s", self._path, error)
        finally:
            db.execute(f"PRAGMA busy_timeout = {round(self._busy_wait * 1000)}")


def _answer(table: JobTable, op: p.Op, now: float) -> object:
    try:
        return _OPERATIONS[type(op)](table, op, now)
    except p.StoreError as error:
        return error
