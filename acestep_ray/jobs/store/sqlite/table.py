"""The jobs table: the only place where a job is inserted, changed or removed.

An operation first decides (and may raise a StoreError), then writes. So a failed operation has
written nothing, and no savepoint is needed.
"""

import sqlite3
from dataclasses import replace
from typing import Any

from acestep_ray.jobs.job import ErrorCode, Event, Status, after
from acestep_ray.jobs.store import messages
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound
from acestep_ray.jobs.store.operations import Submit
from acestep_ray.jobs.store.records import ChangeKind, JobChange, JobRecord
from acestep_ray.jobs.store.sqlite import delivery_rows
from acestep_ray.jobs.store.sqlite.queue_index import QueueIndex
from acestep_ray.jobs.store.sqlite.row import COLUMNS, JobRow, job_of_row
from acestep_ray.jobs.store.webhook_messages import event_to_deliver, joined_kinds

_INSERT = f"INSERT INTO jobs ({COLUMNS}) VALUES ({', '.join('?' * (COLUMNS.count(',') + 1))})"
_UPDATE = """
UPDATE jobs SET status = ?, plan_pending = ?, started_at = ?, finished_at = ?, attempt = ?,
    starts = ?, runner = ?, lease_request = ?, released = ?, ended_by = ?, error = ?,
    error_code = ?, work = ?, cluster = ?, plan_seconds = ?, device_seconds = ?
WHERE place = ?
"""


class JobTable:
    """Jobs in an open transaction of ``db``, and the queue index that follows them.

    ``changes`` collects the changes; the store hands them out after the commit.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.queue = QueueIndex(db)
        self.changes: list[JobChange] = []

    def select(self, where: str, *values: object, index: str | None = None) -> list[JobRow]:
        """Jobs by an SQL condition (with ORDER BY and LIMIT as needed).

        ``index``: the index to use. SQLite does not always choose the best one.
        """
        source = f"jobs INDEXED BY {index}" if index else "jobs"
        rows = self.db.execute(f"SELECT {COLUMNS} FROM {source} WHERE {where}", values).fetchall()
        return [job_of_row(row) for row in rows]

    def find(self, job_id: str) -> JobRow | None:
        """A job, or None if there is none (any more)."""
        jobs = self.select("job_id = ?", job_id)
        return jobs[0] if jobs else None

    def require(self, job_id: str) -> JobRow:
        """A job. Raises JobNotFound, JobExpired."""
        job = self.find(job_id)
        if job is not None:
            return job
        if self.expired(job_id):
            raise JobExpired(messages.gone(job_id))
        raise JobNotFound(messages.unknown(job_id))

    def expired(self, job_id: str) -> bool:
        """Whether the id is a tombstone: its job was deleted or has expired."""
        found = self.db.execute("SELECT 1 FROM tombstones WHERE job_id = ?", (job_id,))
        return found.fetchone() is not None

    def record(self, job: JobRow, *, brief: bool = False) -> JobRecord:
        """The job as a JobRecord; ``brief``: without plan and result."""
        texts = "spec, NULL, NULL" if brief else "spec, plan, result"
        spec, plan, result = self.db.execute(
            f"SELECT {texts} FROM texts WHERE place = ?", (job.place,)
        ).fetchone()
        return JobRecord(
            job_id=job.job_id,
            status=job.status,
            spec=spec,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            place=job.place,
            position=self.queue.position(job),
            attempt=job.attempt,
            starts=job.starts,
            needs_plan=job.needs_plan,
            planner=job.planner,
            work=job.work,
            runner=job.runner,
            plan=plan,
            result=result,
            error=job.error,
            error_code=job.error_code,
            plan_pending=job.plan_pending,
            owner=job.owner,
            task=job.task,
            webhook=job.webhook,
            decoder=job.decoder,
        )

    def insert(self, op: Submit, now: float) -> JobRow:
        """Put a new job at the end of the queue."""
        unplaced = (None, op.job_id, op.owner, Status.QUEUED, op.needs_plan, op.needs_plan, now)
        unstarted = (None, None, 0, 0, None, None, None, None, None, None)
        estimated = (op.planner, float(op.work), "", None, None)
        reported = (op.task, op.webhook, joined_kinds(op.webhook_kinds))
        row = (*unplaced, *unstarted, *estimated, *reported, op.plans, op.decoder)
        place = self.db.execute(_INSERT, row).lastrowid
        self.db.execute("INSERT INTO texts (place, spec) VALUES (?, ?)", (place, op.spec))
        job = job_of_row((place, *row[1:]))
        self.queue.add(job)
        self.publish(job, ChangeKind.SUBMITTED, now)
        return job

    def transition(
        self,
        job: JobRow,
        event: Event,
        now: float,
        *,
        error: str | None = None,
        error_code: ErrorCode | None = None,
        lost: bool = False,
        **columns: Any,
    ) -> JobRow:
        """The only way to another status. ``columns`` are set in addition to those of the event.

        ``lost``: see JobChange.
        """
        status = after(job.status, event)
        if event is Event.START and job.status is Status.QUEUED:
            columns |= {"started_at": now, "starts": job.starts + 1}
        elif event is not Event.START:  # every other event takes the job from its runner
            columns |= {"runner": None, "lease_request": None, "cluster": ""}
        if event is Event.LOSE:  # the start is void: the job will be timed from its next start
            columns |= {"started_at": None}
        if status.ended:
            columns |= {"finished_at": now, "error": error, "error_code": error_code}
        moved = self.change(job, status=status, **columns)
        if event is Event.LOSE:
            self.publish(moved, ChangeKind.REQUEUED, now, lost=lost)
        elif status.ended:
            self.publish(moved, ChangeKind.ENDED, now, lost=lost)
        elif moved.status is not job.status:
            self.publish(moved, ChangeKind.STARTED, now)
        return moved

    def publish(self, job: JobRow, kind: ChangeKind, now: float, *, lost: bool = False) -> None:
        """Add a change to ``changes``, and the message that reports it if the job's webhook wants
        one; ``job`` as it is after the change."""
        change = JobChange(
            job_id=job.job_id,
            kind=kind,
            status=job.status,
            at=now,
            owner=job.owner,
            task=job.task,
            webhook=job.webhook,
            attempt=job.attempt,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            error_code=job.error_code,
            lost=lost,
        )
        self.changes.append(change)
        event = event_to_deliver(kind, job.webhook_kinds)
        if event is not None:
            delivery_rows.insert(self.db, change, event)

    def change(self, job: JobRow, **columns: Any) -> JobRow:
        """Write columns of a job. ``status`` is written by ``transition`` only."""
        changed = replace(job, **columns)
        self.db.execute(
            _UPDATE,
            (
                changed.status,
                changed.plan_pending,
                changed.started_at,
                changed.finished_at,
                changed.attempt,
                changed.starts,
                changed.runner,
                changed.lease_request,
                changed.released,
                changed.ended_by,
                changed.error,
                changed.error_code,
                changed.work,
                changed.cluster,
                changed.plan_seconds,
                changed.device_seconds,
                changed.place,
            ),
        )
        self.queue.remove(job)
        self.queue.add(changed)
        return changed

    def expire(self, job: JobRow, now: float) -> None:
        """Remove an ended job. Its id becomes a tombstone and garbage. Its webhook messages are
        removed, except those that are still to be delivered.

        Its idempotency key is free again: a client that repeats a deleted job expects a new job.
        """
        for statement, value in (
            ("DELETE FROM texts WHERE place = ?", job.place),
            ("DELETE FROM jobs WHERE place = ?", job.place),
            ("DELETE FROM idempotency WHERE job_id = ?", job.job_id),
            ("INSERT INTO garbage (job_id) VALUES (?)", job.job_id),
        ):
            self.db.execute(statement, (value,))
        self.db.execute("INSERT INTO tombstones VALUES (?, ?)", (job.job_id, now))
        delivery_rows.remove_settled(self.db, job.job_id)
        self.queue.remove(job)
