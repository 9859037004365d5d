"""Operations on webhook messages: which are due, and what became of them."""

from acestep_ray.jobs.store.operations import LeaseDeliveries, ListDeliveries, SaveDelivery
from acestep_ray.jobs.store.records import DeliveryRecord, DeliveryState
from acestep_ray.jobs.store.sqlite import delivery_rows
from acestep_ray.jobs.store.sqlite.table import JobTable

_DUE = "state = 'pending' AND next_at <= ? ORDER BY next_at, number LIMIT ?"
_HELD = "lease_request = ? AND next_at > ? ORDER BY number"


def lease_deliveries(table: JobTable, op: LeaseDeliveries, now: float) -> list[DeliveryRecord]:
    """See operations.LeaseDeliveries. Nothing is written if no message is due."""
    held = delivery_rows.select(table.db, _HELD, op.request_id, now)
    if held:
        return held
    due = table.db.execute(
        f"SELECT number FROM deliveries INDEXED BY deliveries_due WHERE {_DUE}",
        (now, max(0, op.limit)),
    ).fetchall()
    table.db.executemany(
        "UPDATE deliveries SET next_at = ?, lease_request = ? WHERE number = ?",
        [(now + op.seconds, op.request_id, number) for (number,) in due],
    )
    return delivery_rows.select(table.db, _HELD, op.request_id, now) if due else []


def save_delivery(table: JobTable, op: SaveDelivery, now: float) -> None:
    """See operations.SaveDelivery."""
    found = table.db.execute(
        "SELECT job_id, tries FROM deliveries WHERE delivery_id = ? AND state = 'pending'",
        (op.delivery_id,),
    ).fetchone()
    if found is None:
        return
    job_id, tries = found
    if op.tries <= tries and op.state is not DeliveryState.DELIVERED:
        return
    pending = op.state is DeliveryState.PENDING
    if not pending and table.find(job_id) is None:
        table.db.execute("DELETE FROM deliveries WHERE delivery_id = ?", (op.delivery_id,))
        return
    table.db.execute(
        "UPDATE deliveries SET state = ?, tries = ?, next_at = ?, last_try_at = ?,"
        " http_status = ?, error = ?, lease_request = NULL WHERE delivery_id = ?",
        (
            op.state,
            max(tries, op.tries),
            (now if op.next_at is None else op.next_at) if pending else None,
            now,
            op.http_status,
            op.error,
            op.delivery_id,
        ),
    )


def list_deliveries(table: JobTable, op: ListDeliveries, now: float) -> list[DeliveryRecord]:
    """See operations.ListDeliveries."""
    return delivery_rows.select(table.db, "job_id = ? ORDER BY number", op.job_id)
