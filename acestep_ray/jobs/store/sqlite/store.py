"""SqliteStore: a batch of operations is one transaction of one connection."""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from acestep_ray.jobs.store import errors
from acestep_ray.jobs.store import operations as ops
from acestep_ray.jobs.store.records import JobChange
from acestep_ray.jobs.store.sqlite import attempts, client_ops, deliveries, leases, retention
from acestep_ray.jobs.store.sqlite.lock import OwnerLock, lock_file
from acestep_ray.jobs.store.sqlite.schema import migrate
from acestep_ray.jobs.store.sqlite.table import JobTable

logger = logging.getLogger(__name__)

_READS = (
    ops.Get,
    ops.ListJobs,
    ops.IsOwner,
    ops.ListGarbage,
    ops.Stats,
    ops.Backlog,
    ops.ListDeliveries,
)
_OPERATIONS: dict[type, Callable[[JobTable, Any, float], object]] = {
    ops.Submit: client_ops.submit,
    ops.Get: client_ops.get,
    ops.ListJobs: client_ops.list_jobs,
    ops.Cancel: client_ops.cancel,
    ops.Delete: client_ops.delete,
    ops.Stats: client_ops.stats,
    ops.Backlog: client_ops.backlog,
    ops.Lease: leases.lease,
    ops.KeepAlive: leases.keep_alive,
    ops.Deregister: leases.deregister,
    ops.Sweep: leases.sweep,
    ops.ExtendLeases: leases.extend_leases,
    ops.IsOwner: attempts.is_owner,
    ops.Start: attempts.start,
    ops.SavePlan: attempts.save_plan,
    ops.Finish: attempts.finish,
    ops.Release: attempts.release,
    ops.Purge: retention.purge,
    ops.ListGarbage: retention.list_garbage,
    ops.AckGarbage: retention.ack_garbage,
    ops.LeaseDeliveries: deliveries.lease_deliveries,
    ops.SaveDelivery: deliveries.save_delivery,
    ops.ListDeliveries: deliveries.list_deliveries,
}
_SYNCHRONOUS = "FULL"  # in WAL mode, anything less loses the last batches in a power cut
_VACUUM_PAGES = 5000
_MISUSE = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    sqlite3.InternalError,
    sqlite3.NotSupportedError,
)


class SqliteStore:
    """A JobStore in the SQLite file at ``path``, which is created if it does not exist.

    One process owns it: opening waits up to ``lock_wait`` seconds for the previous owner, then
    raises StoreLocked. ``busy_wait``: seconds that a batch waits for another program that has
    locked the file itself. Raises StoreUnavailable if the file cannot be opened, SchemaTooNew if a
    later release wrote it.
    """

    def __init__(self, path: Path, lock_wait: float = 10.0, busy_wait: float = 2.0) -> None:
        self._path = path
        self._busy_wait = busy_wait
        self._changes: list[JobChange] = []
        self._db: sqlite3.Connection | None = None
        self._table: JobTable | None = None  # None: to be read again
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = OwnerLock(lock_file(path), lock_wait)
        except OSError as error:
            raise errors.StoreUnavailable(
                f"The job store {path} cannot be opened: {error}."
            ) from error
        try:
            self._open()
        except BaseException as error:
            self.close()
            self._raise_unavailable(error)
            raise

    def apply(self, batch: Sequence[ops.Op], now: float) -> list[object]:
        """See JobStore."""
        if self._closed:
            raise errors.StoreUnavailable("The job store is closed.")
        try:
            table = self._table or self._open()
            if all(isinstance(op, _READS) for op in batch):
                return [_answer(table, op, now) for op in batch]
            table.db.execute("BEGIN IMMEDIATE")
            answers = [_answer(table, op, now) for op in batch]
            table.db.execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            self._raise_unavailable(error)
            raise
        self._changes += table.changes
        table.changes.clear()
        if any(isinstance(op, ops.Purge) for op in batch):
            self._give_back_space(table.db)
        return answers

    def take_changes(self) -> list[JobChange]:
        """See JobStore."""
        changes, self._changes = self._changes, []
        return changes

    def peers(self) -> None:
        """See JobStore. Always None: the file has one owner."""

    def close(self) -> None:
        """See JobStore. May be called twice."""
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
                    # It cannot be changed once the file has its first page.
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
        """Undo the open transaction. The next batch reads the table's index again."""
        self._table = None
        if self._db is None:
            return
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            logger.exception("A rollback failed; the job store is opened again")
            self._db.close()
            self._db = None

    def _raise_unavailable(self, error: BaseException) -> None:
        """Raise StoreUnavailable if the database fails, but not if the batch itself has a fault."""
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _MISUSE):
            raise errors.StoreUnavailable(
                f"The job store {self._path} cannot be used: {error}."
            ) from error

    def _give_back_space(self, db: sqlite3.Connection) -> None:
        """Shrink the file. The batch is durable already, so it does not fail if this fails."""
        try:
            db.execute("PRAGMA busy_timeout = 0")  # do not wait for other programs
            # execute() would run one step, which frees one page.
            db.executescript(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error as error:
            logger.warning("The job store %s could not be shrunk: %s", self._path, error)
        finally:
            db.execute(f"PRAGMA busy_timeout = {round(self._busy_wait * 1000)}")


def _answer(table: JobTable, op: ops.Op, now: float) -> object:
    try:
        return _OPERATIONS[type(op)](table, op, now)
    except errors.StoreError as error:
        return error
