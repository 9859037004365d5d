"""Operations on their way to the script, and its answers on their way back."""

from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store import protocol as p
from acestep_ray.jobs.store import sentences
from acestep_ray.jobs.store.redis.script import RECORD

_MAX_INTEGER = 2**53
"""Lua's numbers are doubles: whole up to here."""


def packed(batch: Sequence[tuple[str, dict[str, Any]]], now: float) -> bytes:
    """A batch of (operation, fields) and the time. Raises UnicodeEncodeError for half a character,
    which no database can hold."""
    plain = [(name, {k: _plain(v) for k, v in fields.items()}) for name, fields in batch]
    data: bytes = msgpack.packb((plain, float(now)))
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, int):
        return value if isinstance(value, bool) else max(-_MAX_INTEGER, min(value, _MAX_INTEGER))
    return value


def unpacked(data: bytes) -> Any:
    """What a script or a stream's entry says."""
    return msgpack.unpackb(data)


def changes(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, Status]]:
    """Changed jobs, each with the status that it got."""
    return [(job_id, Status(status)) for job_id, status in pairs]


def answer(op: p.Op, reply: Sequence[Any]) -> object:
    """The answer of an operation, or its StoreError."""
    well, *values = reply
    if not well:
        return _ERRORS[values[0]](*values[1:])
    read = _ANSWERS.get(type(op))
    return read(values[0]) if read else None


_ERRORS: dict[str, Callable[..., p.StoreError]] = {
    "JobNotFound": lambda job_id: p.JobNotFound(sentences.unknown(job_id)),
    "JobExpired": lambda job_id: p.JobExpired(sentences.gone(job_id)),
    "AlreadyEnded": lambda job_id, status: p.AlreadyEnded(sentences.ended(job_id, status)),
    "QueueFull": lambda queued, limit: p.QueueFull(sentences.full(queued, limit)),
    "IdempotencyMismatch": lambda: p.IdempotencyMismatch(sentences.KEY_REUSED),
}


def _record(values: Sequence[Any]) -> p.JobRecord:
    """From the columns of RECORD as text (False where there is none), texts and position."""
    row = dict(zip(RECORD, values, strict=False))
    spec, plan, result, position = values[len(RECORD) :]
    return p.JobRecord(
        job_id=row["job_id"],
        status=Status(row["status"]),
        spec=spec,
        created_at=float(row["created_at"]),
        started_at=_float(row["started_at"]),
        finished_at=_float(row["finished_at"]),
        place=int(row["place"]),
        position=position,
        attempt=int(row["attempt"]),
        starts=int(row["starts"]),
        needs_plan=row["needs_plan"] == "1",
        planner=row["planner"],
        work=float(row["work"]),
        runner=_text(row["runner"]),
        plan=_text(plan),
        result=_text(result),
        error=_text(row["error"]),
        error_code=ErrorCode(row["error_code"]) if row["error_code"] else None,
    )


def _records(rows: Sequence[Any]) -> list[p.JobRecord]:
    return [_record(row) for row in rows]


def _stats(values: Sequence[Any]) -> p.StoreStats:
    (queued, running, succeeded, failed), queued_for_plan, recent = values
    return p.StoreStats(
        queued=queued,
        running=running,
        succeeded=succeeded,
        failed=failed,
        queued_for_plan=queued_for_plan,
        recent_seconds=tuple(
            max(0.0, float(finished) - float(started)) for started, finished, *_ in recent
        ),
        recent_paces=tuple(
            p.Pace(float(work), float(device), _float(plan))
            for _, _, work, device, plan in recent
            if device is not False
        ),
    )


def _unfinished(values: Sequence[Any]) -> p.Unfinished:
    job_id, place, status, planner, work, leased, cluster = values
    planner = None if planner is False else planner
    return p.Unfinished(job_id, place, Status(status), planner, float(work), leased, cluster)


def _float(text: Any) -> float | None:
    return None if text is False else float(text)


def _text(text: Any) -> str | None:
    return None if text is False else text


_ANSWERS: dict[type, Callable[[Any], object]] = {
    p.Submit: lambda v: p.Submitted(v[0], Status(v[1]), v[2], v[3]),
    p.Get: _record,
    p.Cancel: _record,
    p.ListJobs: _records,
    p.Lease: _records,
    p.Owns: bool,
    p.Start: bool,
    p.SavePlan: bool,
    p.Finish: bool,
    p.Release: bool,
    p.Sweep: list,
    p.Purge: int,
    p.Garbage: list,
    p.Stats: _stats,
    p.Backlog: lambda rows: [_unfinished(row) for row in rows],
}
"""How an answer is read; an operation that is not here answers None."""
