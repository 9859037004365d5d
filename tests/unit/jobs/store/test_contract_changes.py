"""Contract: what a store reports of its changes: each once, in order, and complete."""

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.operations import (
    Cancel,
    Delete,
    Deregister,
    Finish,
    Get,
    KeepAlive,
    Lease,
    Purge,
    Release,
    SavePlan,
    Start,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.records import ChangeKind, JobChange
from tests.unit.jobs.store.contract import StoreHarness

SUBMITTED, STARTED, PLANNED, REQUEUED, ENDED, DELETED = ChangeKind
QUEUED, RUNNING, SUCCEEDED, FAILED = Status


def test_every_change_of_a_job_is_among_the_changes(harness: StoreHarness) -> None:
    harness.submit("a", "b")
    harness.take("a")
    harness.do(SavePlan("a", 1, "plan"))  # it waited for none
    assert harness.changes() == [
        ("a", SUBMITTED, QUEUED),
        ("b", SUBMITTED, QUEUED),
        ("a", STARTED, RUNNING),
    ]
    harness.batch(Release("a", 1, lost=True), Cancel("b"), Cancel("b"), Get("a"), Sweep())
    assert harness.changes() == [("a", REQUEUED, QUEUED), ("b", ENDED, FAILED)]
    assert harness.changes() == []


def test_a_plan_and_a_returned_lease_are_changes_for_whoever_waits_for_a_slot(
    harness: StoreHarness,
) -> None:
    harness.submit("a", needs_plan=True)
    (record,) = harness.lease(plan_slots=1)
    harness.changes()
    harness.do(SavePlan("a", record.attempt, "plan"))
    assert harness.changes() == [("a", PLANNED, QUEUED)]
    harness.do(SavePlan("a", record.attempt, "plan"))
    assert harness.changes() == []
    harness.do(Release("a", record.attempt, lost=False))
    assert harness.changes() == [("a", REQUEUED, QUEUED)]


def test_a_job_that_is_deleted_while_it_lives_ends_first(harness: StoreHarness) -> None:
    harness.succeed("ended")
    harness.submit("live")
    harness.changes()
    harness.batch(Delete("live"), Delete("ended"), Delete("ended"))
    assert harness.changes() == [
        ("live", ENDED, FAILED),
        ("live", DELETED, FAILED),
        ("ended", DELETED, SUCCEEDED),
    ]


def test_a_job_that_expires_is_no_change(harness: StoreHarness) -> None:
    harness.succeed("a")
    harness.changes()
    harness.now += 10
    assert harness.do(Purge(1, 1, 1)) == 1
    assert harness.changes() == []


def test_a_job_without_a_reported_start_has_started_before_it_ends(harness: StoreHarness) -> None:
    harness.submit("a", "b")
    harness.lease(decode_slots=2)
    harness.changes()
    harness.batch(Finish("a", 1, result="{}"), Finish("a", 1, result="{}"), Finish("b", 1))
    assert harness.changes() == [
        ("a", STARTED, RUNNING),
        ("a", ENDED, SUCCEEDED),
        ("b", ENDED, FAILED),
    ]


def test_a_change_holds_what_its_readers_need(harness: StoreHarness) -> None:
    harness.do(Submit("a", "{}", needs_plan=False, owner="me"))
    harness.now += 2.5
    attempt = harness.take("a")
    harness.now += 1
    harness.do(Finish("a", attempt, error="no", error_code=ErrorCode.OUT_OF_MEMORY))
    assert harness.store.take_changes() == [
        JobChange("a", SUBMITTED, QUEUED, at=1000.0, owner="me", created_at=1000.0),
        JobChange(
            "a",
            STARTED,
            RUNNING,
            at=1002.5,
            owner="me",
            attempt=1,
            created_at=1000.0,
            started_at=1002.5,
        ),
        JobChange(
            "a",
            ENDED,
            FAILED,
            at=1003.5,
            owner="me",
            attempt=1,
            created_at=1000.0,
            started_at=1002.5,
            finished_at=1003.5,
            error_code=ErrorCode.OUT_OF_MEMORY,
        ),
    ]
    harness.now += 0.25
    harness.do(Delete("a"))
    (deleted,) = harness.store.take_changes()
    assert (deleted.at, deleted.finished_at, deleted.owner) == (1003.75, 1003.5, "me")


@pytest.mark.parametrize(
    ("lost", "max_starts", "expected"),
    [
        (False, 3, (REQUEUED, False, None)),
        (True, 3, (REQUEUED, True, None)),
        (True, 1, (ENDED, True, ErrorCode.WORKER_LOST)),
    ],
)
def test_a_lost_worker_is_distinguished_from_one_that_stopped(
    harness: StoreHarness,
    lost: bool,
    max_starts: int,
    expected: tuple[ChangeKind, bool, ErrorCode | None],
) -> None:
    harness.submit("a")
    attempt = harness.take("a")
    harness.changes()
    harness.do(Release("a", attempt, lost=lost, max_starts=max_starts))
    (change,) = harness.store.take_changes()
    assert (change.kind, change.lost, change.error_code) == expected
    assert (change.attempt, change.started_at is None) == (1, change.kind is REQUEUED)


def test_a_sweep_and_a_runner_that_leaves_report_what_they_took_back(
    harness: StoreHarness,
) -> None:
    harness.submit("running", "leased", "late")
    for runner in ("s", "t"):
        harness.do(KeepAlive(runner, ttl=5))
    harness.take("running", "s")
    harness.do(Lease("s", "1", 0, 2))
    harness.do(Lease("t", "1", 0, 3))
    harness.changes()
    harness.do(Deregister("t"))
    assert harness.changes() == [("late", REQUEUED, QUEUED)]
    harness.now += 10
    harness.do(Sweep())
    changes = {one.job_id: one for one in harness.store.take_changes()}
    assert {job_id: one.kind for job_id, one in changes.items()} == {
        "running": REQUEUED,
        "leased": REQUEUED,
    }
    assert {job_id: one.lost for job_id, one in changes.items()} == {
        "running": True,
        "leased": False,  # it had not begun: that counts as no start
    }
    attempt = harness.take("running")
    harness.do(Start("running", attempt))
    harness.changes()
    harness.now += 10
    harness.do(Sweep(timeout=5))
    (change,) = harness.store.take_changes()
    assert (change.kind, change.lost, change.error_code) == (ENDED, False, ErrorCode.TIMEOUT)
