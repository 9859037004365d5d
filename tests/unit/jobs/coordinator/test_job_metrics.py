"""What operators see of jobs and of the queue."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from acestep_ray.jobs.coordinator.job_metrics import JobMetrics
from acestep_ray.jobs.coordinator.queue_recorder import record_queue
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.snapshot import QueueStats
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.records import ChangeKind, JobChange, StoreStats
from acestep_ray.metrics import (
    JOB_SECONDS,
    JOB_WAIT_SECONDS,
    JOBS,
    JOBS_ENDED,
    JOBS_REQUEUED,
    JOBS_SUBMITTED,
    QUEUE_OLDEST_SECONDS,
    QUEUED_JOBS,
    REPLICAS,
    SLOTS,
    STORE_UP,
    WEBHOOKS_PENDING,
    WORKERS_LOST,
)
from acestep_ray.replicas.capacity import Capacity
from acestep_ray.replicas.registry import Registration, ReplicaRegistry
from tests.recording_meter import RecordingMeter
from tests.unit.jobs.engines import DESCRIPTION
from tests.unit.jobs.local_client import LM


@pytest.fixture
def meter() -> RecordingMeter:
    return RecordingMeter()


@pytest.fixture
def metrics(meter: RecordingMeter) -> JobMetrics:
    return JobMetrics(meter)


def change(kind: ChangeKind, status: Status, **fields: Any) -> JobChange:
    times: dict[str, Any] = {"task": "cover", "created_at": 100.0, "at": 130.0}
    return JobChange("job", kind, status, **(times | fields))


def test_a_job_is_counted_when_it_comes_starts_and_ends(
    metrics: JobMetrics, meter: RecordingMeter
) -> None:
    metrics.changed(change(ChangeKind.SUBMITTED, Status.QUEUED))
    metrics.changed(change(ChangeKind.STARTED, Status.RUNNING, started_at=104.0))
    metrics.changed(change(ChangeKind.PLANNED, Status.RUNNING))
    metrics.changed(change(ChangeKind.ENDED, Status.SUCCEEDED, finished_at=130.0))
    metrics.changed(change(ChangeKind.DELETED, Status.SUCCEEDED, finished_at=130.0))
    assert meter.counted(JOBS_SUBMITTED) == {("cover",): 1}
    assert meter.observed[JOB_WAIT_SECONDS.name] == {("cover",): [4.0]}
    assert meter.counted(JOBS_ENDED) == {("succeeded", "cover", "none"): 1}
    assert meter.observed[JOB_SECONDS.name] == {("cover", "succeeded"): [30.0]}
    assert meter.counted(WORKERS_LOST) == {}


def test_a_failed_job_is_counted_with_its_code(metrics: JobMetrics, meter: RecordingMeter) -> None:
    code = ErrorCode.OUT_OF_MEMORY
    metrics.changed(change(ChangeKind.ENDED, Status.FAILED, error_code=code))
    assert meter.counted(JOBS_ENDED) == {("failed", "cover", "out_of_memory"): 1}
    assert meter.observed[JOB_SECONDS.name] == {("cover", "failed"): [30.0]}


def test_a_lost_worker_is_no_redeployment(metrics: JobMetrics, meter: RecordingMeter) -> None:
    """An alert on lost workers must be silent when somebody deploys."""
    metrics.changed(change(ChangeKind.REQUEUED, Status.QUEUED))
    assert meter.counted(WORKERS_LOST) == {}
    metrics.changed(change(ChangeKind.REQUEUED, Status.QUEUED, lost=True))
    code = ErrorCode.WORKER_LOST
    metrics.changed(change(ChangeKind.ENDED, Status.FAILED, error_code=code, lost=True))
    assert meter.counted(WORKERS_LOST) == {("requeued",): 1, ("failed",): 1}
    assert meter.counted(JOBS_REQUEUED) == {
        ("cover", "returned"): 1,
        ("cover", "worker_lost"): 1,
    }


def test_a_task_that_is_not_known_adds_no_label(metrics: JobMetrics, meter: RecordingMeter) -> None:
    """Of a job of an earlier release, and of one of a later one."""
    for task in ("", "a task of next year", "text2music"):
        metrics.changed(change(ChangeKind.SUBMITTED, Status.QUEUED, task=task))
    assert meter.counted(JOBS_SUBMITTED) == {("none",): 1, ("other",): 1, ("text2music",): 1}


def test_a_clock_that_was_set_back_gives_no_negative_time(
    metrics: JobMetrics, meter: RecordingMeter
) -> None:
    metrics.changed(change(ChangeKind.STARTED, Status.RUNNING, started_at=90.0))
    metrics.changed(change(ChangeKind.ENDED, Status.SUCCEEDED, finished_at=90.0))
    assert meter.observed[JOB_WAIT_SECONDS.name] == {("cover",): [0.0]}
    assert meter.observed[JOB_SECONDS.name] == {("cover", "succeeded"): [0.0]}


COUNTS = StoreStats(
    queued=5, running=2, succeeded=7, failed=1, queued_for_plan=3, recent_seconds=(),
    oldest_queued_at=1000.0, deliveries_pending=9,
)  # fmt: skip


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def test_the_queue_is_recorded_again_and_again(
    metrics: JobMetrics, meter: RecordingMeter
) -> None:
    """The store fails, then hangs, then answers: each shows."""
    registry = ReplicaRegistry()
    registry.register(Registration("d", "Decoder", DESCRIPTION, slots=2), 0.0)
    registry.register(Registration("p", "Planner", LM, slots=16), 0.0)
    asked = 0

    async def stats() -> QueueStats:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreUnavailable
        if asked == 2:
            await asyncio.sleep(3600)
        if asked == 3:
            raise RuntimeError("a mistake")
        return QueueStats(COUNTS, Capacity(), 5.0)

    work = record_queue(metrics, stats, registry, lambda: 1060.0, every=0.02)
    task = asyncio.create_task(work)
    await until(lambda: asked == 2)
    assert meter.gauges == {STORE_UP.name: {(): 0}}
    await until(lambda: asked > 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert meter.gauges[STORE_UP.name] == {(): 1}
    assert meter.gauges[JOBS.name] == {
        ("queued",): 5,
        ("running",): 2,
        ("succeeded",): 7,
        ("failed",): 1,
    }
    assert meter.gauges[QUEUED_JOBS.name] == {("plan",): 3, ("decode",): 2}
    assert meter.gauges[QUEUE_OLDEST_SECONDS.name] == {(): 60}
    assert meter.gauges[WEBHOOKS_PENDING.name] == {(): 9}
    assert meter.gauges[REPLICAS.name] == {("planner",): 1, ("decoder",): 1}
    assert meter.gauges[SLOTS.name] == {("planner",): 16, ("decoder",): 2}


def test_an_empty_queue_has_no_age(metrics: JobMetrics, meter: RecordingMeter) -> None:
    metrics.queue(StoreStats(0, 0, 0, 0, 0, ()), Capacity(), 1060.0)
    assert meter.gauges[QUEUE_OLDEST_SECONDS.name] == {(): 0}


def test_rare_failures_are_known_before_the_first(
    metrics: JobMetrics, meter: RecordingMeter
) -> None:
    """Prometheus sees no rise in a series that begins with 1: the first failure would not alert."""
    assert meter.counters[WORKERS_LOST.name] == {("requeued",): 0, ("failed",): 0}
    ended = meter.counters[JOBS_ENDED.name]
    assert ended["failed", "text2music", "out_of_memory"] == 0
    assert ended["succeeded", "lego", "none"] == 0
