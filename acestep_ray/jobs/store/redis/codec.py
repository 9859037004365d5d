"""Encodes operations for the Lua script, and decodes its results."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack

from acestep_ray.jobs.job import Status, error_code_of
from acestep_ray.jobs.store import errors, messages, records
from acestep_ray.jobs.store import operations as ops
from acestep_ray.jobs.store.redis.script import DELIVERY, RECORD
from acestep_ray.jobs.store.stored_change import read_change

_MAX_INTEGER = 2**53
"""Lua's numbers are doubles: exact integers up to this one."""


def packed(batch: Sequence[tuple[str, dict[str, Any]]], now: float) -> bytes:
    """A batch of (operation, fields) and the time (epoch seconds), as msgpack.

    Raises UnicodeEncodeError for half a character, which no database can store.
    """
    plain = [(name, {k: _plain(v) for k, v in fields.items()}) for name, fields in batch]
    data: bytes = msgpack.packb((plain, float(now)))
    return data


def _plain(value: Any) -> Any:
    if isinstance(value, int):
        return value if isinstance(value, bool) else max(-_MAX_INTEGER, min(value, _MAX_INTEGER))
    return value


def unpacked(data: bytes) -> Any:
    """Decode the result of a script, or the entry of a stream."""
    return msgpack.unpackb(data)


def changes(rows: Sequence[Mapping[str, Any]]) -> list[records.JobChange]:
    """Changes as the script returns them."""
    return [read_change(row) for row in rows]


def changes_of_entry(fields: Mapping[bytes, bytes]) -> list[records.JobChange]:
    """The changes in an entry of the stream. One of an earlier release has only ids and states."""
    if b"changes" in fields:
        return changes(unpacked(fields[b"changes"]))
    pairs = unpacked(fields[b"jobs"])
    return [read_change({"job_id": job_id, "status": status}) for job_id, status in pairs]


def answer(op: ops.Op, reply: Sequence[Any]) -> object:
    """The result of an operation, or its StoreError."""
    succeeded, *values = reply
    if not succeeded:
        return _ERRORS[values[0]](*values[1:])
    read = _ANSWERS.get(type(op))
    return read(values[0]) if read else None


_ERRORS: dict[str, Callable[..., errors.StoreError]] = {
    "JobNotFound": lambda job_id: errors.JobNotFound(messages.unknown(job_id)),
    "JobExpired": lambda job_id: errors.JobExpired(messages.gone(job_id)),
    "AlreadyEnded": lambda job_id, status: errors.AlreadyEnded(messages.ended(job_id, status)),
    "QueueFull": lambda queued, limit: errors.QueueFull(messages.full(queued, limit)),
    "IdempotencyMismatch": lambda: errors.IdempotencyMismatch(messages.KEY_REUSED),
}


def _record(values: Sequence[Any]) -> records.JobRecord:
    """From the columns of RECORD as text (False: no value), the texts and the position."""
    row = dict(zip(RECORD, values, strict=False))
    spec, plan, result, position = values[len(RECORD) :]
    return records.JobRecord(
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
        error_code=error_code_of(_text(row["error_code"])),
        plan_pending=row["plan_pending"] == "1",
        owner=row["owner"],
        task=_text(row["task"]) or "",
        webhook=_text(row["webhook"]) or "",
        decoder=_text(row["decoder"]) or "",
    )


def _records(rows: Sequence[Any]) -> list[records.JobRecord]:
    return [_record(row) for row in rows]


def _delivery(values: Sequence[Any]) -> records.DeliveryRecord:
    """From the columns of DELIVERY as text (False: no value), and the change."""
    row = dict(zip(DELIVERY, values, strict=False))
    http_status = _text(row["http_status"])
    return records.DeliveryRecord(
        delivery_id=row["delivery_id"],
        job_id=row["job_id"],
        kind=row["kind"],
        change=read_change(values[len(DELIVERY)]),
        state=records.DeliveryState(row["state"]),
        created_at=float(row["created_at"]),
        tries=int(row["tries"]),
        next_at=_float(row["next_at"]),
        last_try_at=_float(row["last_try_at"]),
        http_status=None if http_status is None else int(http_status),
        error=_text(row["error"]),
    )


def _deliveries(rows: Sequence[Any]) -> list[records.DeliveryRecord]:
    return [_delivery(row) for row in rows]


def _stats(values: Sequence[Any]) -> records.StoreStats:
    (queued, running, succeeded, failed), queued_for_plan, recent, oldest, deliveries = values
    return records.StoreStats(
        queued=queued,
        running=running,
        succeeded=succeeded,
        failed=failed,
        queued_for_plan=queued_for_plan,
        recent_seconds=tuple(
            max(0.0, float(finished) - float(started)) for started, finished, *_ in recent
        ),
        recent_paces=tuple(
            records.JobTiming(float(work), float(device), _float(plan), _text(decoder) or "")
            for _, _, work, device, plan, decoder in recent
            if device is not False
        ),
        oldest_queued_at=_float(oldest),
        deliveries_pending=deliveries,
    )


def _unfinished(values: Sequence[Any]) -> records.BacklogItem:
    job_id, place, status, planner, work, leased, cluster, plans, decoder = values
    return records.BacklogItem(
        job_id=job_id,
        place=place,
        status=Status(status),
        planner=None if planner is False else planner,
        work=float(work),
        leased=leased,
        cluster=cluster,
        plans=int(plans),
        decoder=decoder,
    )


def _float(text: Any) -> float | None:
    return None if text is False else float(text)


def _text(text: Any) -> str | None:
    return None if text is False else text


_ANSWERS: dict[type, Callable[[Any], object]] = {
    ops.Submit: lambda v: records.Submitted(v[0], Status(v[1]), v[2], v[3]),
    ops.Get: _record,
    ops.Cancel: _record,
    ops.ListJobs: _records,
    ops.Lease: _records,
    ops.IsOwner: bool,
    ops.Start: bool,
    ops.SavePlan: bool,
    ops.Finish: bool,
    ops.Release: bool,
    ops.Sweep: list,
    ops.Purge: int,
    ops.ListGarbage: list,
    ops.Stats: _stats,
    ops.Backlog: lambda rows: [_unfinished(row) for row in rows],
    ops.LeaseDeliveries: _deliveries,
    ops.ListDeliveries: _deliveries,
}
"""How a result is decoded; an operation that is not in this table returns None."""
