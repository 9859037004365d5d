"""What is recorded about jobs: their changes, and every few seconds the state of the queue."""

from acestep_ray.decoder.protocol import TASKS
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.records import ChangeKind, JobChange, StoreStats
from acestep_ray.metrics import (
    JOB_SECONDS,
    JOB_WAIT_SECONDS,
    JOBS,
    JOBS_ENDED,
    JOBS_REQUEUED,
    JOBS_SUBMITTED,
    NONE,
    QUEUE_OLDEST_SECONDS,
    QUEUED_JOBS,
    REPLICAS,
    SLOTS,
    STORE_UP,
    WEBHOOKS_PENDING,
    WORKERS_LOST,
    Meter,
    one_of,
)
from acestep_ray.replicas.capacity import Capacity

LOST = "worker_lost"
RETURNED = "returned"
"""Why a job went back to the queue: its worker died, or was stopping."""


class JobMetrics:
    """In the process of the coordinator, which calls ``changed`` for the changes that it has made.
    Those of its peers are counted there."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        for outcome in ("requeued", "failed"):
            meter.add(WORKERS_LOST, 0, outcome=outcome)
        for task in TASKS:
            meter.add(JOBS_SUBMITTED, 0, task=task)
            for reason in (LOST, RETURNED):
                meter.add(JOBS_REQUEUED, 0, task=task, reason=reason)
            meter.add(JOBS_ENDED, 0, status=Status.SUCCEEDED.value, task=task, code=NONE)
            for code in ErrorCode:
                meter.add(JOBS_ENDED, 0, status=Status.FAILED.value, task=task, code=code.value)

    def changed(self, change: JobChange) -> None:
        """Count a change of a job. Called once for each."""
        meter, task = self._meter, one_of(change.task, TASKS)
        match change.kind:
            case ChangeKind.SUBMITTED:
                meter.add(JOBS_SUBMITTED, task=task)
            case ChangeKind.STARTED:
                if change.started_at is not None:
                    waited = change.started_at - change.created_at
                    meter.observe(JOB_WAIT_SECONDS, max(0.0, waited), task=task)
            case ChangeKind.REQUEUED:
                reason = LOST if change.lost else RETURNED
                meter.add(JOBS_REQUEUED, task=task, reason=reason)
            case ChangeKind.ENDED:
                code = one_of(change.error_code, list(ErrorCode))
                meter.add(JOBS_ENDED, status=change.status.value, task=task, code=code)
                seconds = max(0.0, (change.finished_at or change.at) - change.created_at)
                meter.observe(JOB_SECONDS, seconds, status=change.status.value, task=task)
        if change.lost:
            outcome = "failed" if change.kind is ChangeKind.ENDED else "requeued"
            meter.add(WORKERS_LOST, outcome=outcome)

    def queue(self, stats: StoreStats, capacity: Capacity, now: float) -> None:
        """Record the state of the queue, and what this cluster has for it. ``now``: epoch
        seconds."""
        meter = self._meter
        meter.set(STORE_UP, 1)
        meter.set(JOBS, stats.queued, status=Status.QUEUED.value)
        meter.set(JOBS, stats.running, status=Status.RUNNING.value)
        meter.set(JOBS, stats.succeeded, status=Status.SUCCEEDED.value)
        meter.set(JOBS, stats.failed, status=Status.FAILED.value)
        meter.set(QUEUED_JOBS, stats.queued_for_plan, stage="plan")
        meter.set(QUEUED_JOBS, max(0, stats.queued - stats.queued_for_plan), stage="decode")
        oldest = stats.oldest_queued_at
        meter.set(QUEUE_OLDEST_SECONDS, 0 if oldest is None else max(0.0, now - oldest))
        meter.set(WEBHOOKS_PENDING, stats.deliveries_pending)
        meter.set(REPLICAS, capacity.planners, kind="planner")
        meter.set(REPLICAS, capacity.decoders, kind="decoder")
        meter.set(SLOTS, capacity.plan_slots, kind="planner")
        meter.set(SLOTS, capacity.decode_slots, kind="decoder")

    def store_is_down(self) -> None:
        """Record that the job store does not respond."""
        self._meter.set(STORE_UP, 0)
