"""Contract: webhook messages: made with the change that they report, kept until their end."""

from dataclasses import replace

import pytest

from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.operations import (
    Cancel,
    Delete,
    Finish,
    LeaseDeliveries,
    ListDeliveries,
    Purge,
    Release,
    SaveDelivery,
    SavePlan,
    Start,
    Stats,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.records import (
    ChangeKind,
    DeliveryRecord,
    DeliveryState,
    JobChange,
)
from acestep_ray.jobs.webhook import WEBHOOK_KINDS
from tests.unit.jobs.store.contract import StoreHarness

PENDING, DELIVERED, FAILED = DeliveryState
WEBHOOK = '{"url": "https://example.org/♯", "events": ["ended"]}'
LEASE = LeaseDeliveries(limit=100, seconds=60.0, request_id="first")


def submit(
    harness: StoreHarness,
    *job_ids: str,
    kinds: tuple[str, ...] = ("ended",),
    needs_plan: bool = False,
) -> None:
    op = Submit("", "{}", needs_plan, "me", task="lego", webhook=WEBHOOK, webhook_kinds=kinds)
    for job_id in job_ids:
        harness.do(replace(op, job_id=job_id))


def listed(harness: StoreHarness, job_id: str) -> list[str]:
    return [one.delivery_id for one in harness.do(ListDeliveries(job_id))]


def leased(harness: StoreHarness, request_id: str, limit: int = 100) -> list[str]:
    found = harness.do(LeaseDeliveries(limit, 60.0, request_id))
    return [one.delivery_id for one in found]


# Which changes become messages


def test_a_webhook_gets_every_kind_of_change_that_it_asked_for(
    harness: StoreHarness,
) -> None:
    submit(harness, "a", kinds=WEBHOOK_KINDS, needs_plan=True)
    (record,) = harness.lease(plan_slots=1)
    harness.batch(Start("a", 1), SavePlan("a", 1, "plan"), Release("a", 1, lost=True))
    harness.take("a")
    harness.do(Finish("a", 2, result="{}"))
    assert [(one.kind, one.change.attempt) for one in harness.do(ListDeliveries("a"))] == [
        (EventKind.SUBMITTED, 0),
        (EventKind.RUNNING, 1),
        (EventKind.REQUEUED, 1),
        (EventKind.RUNNING, 2),
        (EventKind.ENDED, 2),
    ]
    assert record.webhook == WEBHOOK


def test_a_webhook_gets_nothing_else(harness: StoreHarness) -> None:
    submit(harness, "ended", kinds=("ended",))
    submit(harness, "never", kinds=())
    harness.submit("without")
    for job_id in ("ended", "never", "without"):
        attempt = harness.take(job_id)
        harness.do(Finish(job_id, attempt, error="no"))
    assert leased(harness, "1") == ["ended-ended-1"]
    assert listed(harness, "never") == listed(harness, "without") == []


@pytest.mark.parametrize("how", ["cancelled", "deleted", "lost", "late"])
def test_an_end_that_no_runner_reports_is_a_message_too(harness: StoreHarness, how: str) -> None:
    submit(harness, "a")
    attempt = 0 if how in ("cancelled", "deleted") else harness.take("a")
    harness.now += 10
    match how:
        case "cancelled":
            harness.do(Cancel("a"))
        case "deleted":
            harness.do(Delete("a"))
        case "lost":
            harness.do(Release("a", attempt, lost=True, max_starts=1))
        case "late":
            harness.do(Sweep(timeout=5))
    (message,) = harness.do(LEASE)
    assert message.kind == EventKind.ENDED
    assert (
        message.change.error_code
        is {
            "cancelled": ErrorCode.CANCELLED,
            "deleted": ErrorCode.CANCELLED,
            "lost": ErrorCode.WORKER_LOST,
            "late": ErrorCode.TIMEOUT,
        }[how]
    )


def test_a_message_holds_the_change_that_it_reports(harness: StoreHarness) -> None:
    submit(harness, "a", kinds=("ended",))
    harness.now += 1.5
    harness.do(Cancel("a"))
    change = JobChange(
        "a",
        ChangeKind.ENDED,
        Status.FAILED,
        at=1001.5,
        owner="me",
        task="lego",
        webhook=WEBHOOK,
        created_at=1000.0,
        finished_at=1001.5,
        error_code=ErrorCode.CANCELLED,
    )
    assert harness.store.take_changes()[-1] == change
    message = DeliveryRecord(
        "a-ended-0", "a", EventKind.ENDED, change, PENDING, created_at=1001.5, next_at=1001.5
    )
    assert harness.do(ListDeliveries("a")) == [message]
    harness.reopen()
    harness.now += 0.25
    assert harness.do(LEASE) == [replace(message, next_at=1061.75)]


def test_a_call_that_is_repeated_makes_no_second_message(harness: StoreHarness) -> None:
    op = Submit("a", "{}", False, webhook=WEBHOOK, webhook_kinds=("submitted", "running", "ended"))
    harness.batch(op, op)
    harness.do(op)
    harness.take("a")
    harness.batch(Start("a", 1), Start("a", 1))
    harness.batch(Finish("a", 1, result="{}"), Finish("a", 1, result="{}"))
    harness.do(Finish("a", 1, result="{}"))
    assert listed(harness, "a") == ["a-submitted-0", "a-running-1", "a-ended-1"]


def test_a_refused_submit_makes_no_message(harness: StoreHarness) -> None:
    full = Submit("a", "{}", False, webhook=WEBHOOK, webhook_kinds=("submitted",), max_queued=0)
    harness.batch(full)
    assert harness.do(LEASE) == []
    assert listed(harness, "a") == []


# Who delivers them


def test_only_one_sender_has_a_message_at_a_time(harness: StoreHarness) -> None:
    submit(harness, "a", "b", "c", kinds=("submitted",))
    assert leased(harness, "1", limit=2) == ["a-submitted-0", "b-submitted-0"]
    assert leased(harness, "2") == ["c-submitted-0"]
    assert leased(harness, "3") == []
    harness.now += 59.9
    assert leased(harness, "4") == []
    harness.now += 0.1
    assert leased(harness, "5") == ["a-submitted-0", "b-submitted-0", "c-submitted-0"]
    assert leased(harness, "6", limit=0) == []


def test_those_that_are_due_the_longest_are_handed_out_first(harness: StoreHarness) -> None:
    submit(harness, "b", "c", kinds=WEBHOOK_KINDS)
    submit(harness, "a", kinds=WEBHOOK_KINDS)
    harness.do(Cancel("b"))
    harness.now += 1
    assert leased(harness, "1", limit=3) == ["b-submitted-0", "c-submitted-0", "a-submitted-0"]
    assert leased(harness, "2") == ["b-ended-0"]
    # One that is to be tried again comes after those that are due for longer.
    harness.do(SaveDelivery("c-submitted-0", PENDING, 1, next_at=harness.now + 5))
    harness.do(Cancel("a"))
    harness.now += 10
    assert leased(harness, "3", limit=1) == ["a-ended-0"]
    assert leased(harness, "4", limit=1) == ["c-submitted-0"]


def test_a_request_that_is_repeated_gets_what_it_still_has(harness: StoreHarness) -> None:
    submit(harness, "a", "b", kinds=("submitted",))
    first = harness.do(LEASE)
    submit(harness, "c", kinds=("submitted",))
    assert harness.do(LEASE) == first
    harness.do(SaveDelivery("a-submitted-0", DELIVERED, 1))
    harness.reopen()
    assert harness.do(LEASE) == first[1:]
    assert leased(harness, "second") == ["c-submitted-0"]


def test_a_request_that_has_nothing_takes_what_is_due_by_then(harness: StoreHarness) -> None:
    """A call that waits for messages asks again and again, always with the same id."""
    assert harness.batch(LEASE, LEASE) == [[], []]
    submit(harness, "a", kinds=("submitted",))
    assert leased(harness, "first") == ["a-submitted-0"]
    harness.do(SaveDelivery("a-submitted-0", PENDING, 1, next_at=harness.now + 1))
    submit(harness, "b", kinds=("submitted",))
    assert leased(harness, "first") == ["b-submitted-0"]
    harness.now += 60
    assert leased(harness, "second") == ["a-submitted-0", "b-submitted-0"]
    assert leased(harness, "first") == []


# What becomes of them


def test_the_outcome_of_each_try_is_kept(harness: StoreHarness) -> None:
    submit(harness, "a", kinds=("submitted",))
    (message,) = harness.do(LEASE)
    harness.now += 3
    harness.do(SaveDelivery("a-submitted-0", PENDING, 1, 1010.5, 500, "It answered 500. ♯"))
    tried = replace(
        message,
        tries=1,
        next_at=1010.5,
        last_try_at=1003.0,
        http_status=500,
        error="It answered 500. ♯",
    )
    assert harness.do(ListDeliveries("a")) == [tried]
    harness.now = 1010.4
    assert leased(harness, "2") == []
    harness.now = 1010.5
    assert leased(harness, "3") == ["a-submitted-0"]
    harness.do(SaveDelivery("a-submitted-0", DELIVERED, 2, http_status=204))
    harness.reopen()
    assert harness.do(ListDeliveries("a")) == [
        replace(
            tried,
            state=DELIVERED,
            tries=2,
            next_at=None,
            last_try_at=1010.5,
            http_status=204,
            error=None,
        )
    ]
    harness.now += 1e6
    assert leased(harness, "4") == []


def test_a_message_without_a_time_for_its_next_try_is_not_lost(harness: StoreHarness) -> None:
    submit(harness, "a", kinds=("submitted",))
    harness.do(LEASE)
    harness.do(SaveDelivery("a-submitted-0", PENDING, 1))
    assert leased(harness, "2") == ["a-submitted-0"]


def test_an_outcome_that_is_saved_again_changes_nothing(harness: StoreHarness) -> None:
    submit(harness, "a", kinds=("submitted",))
    harness.do(LEASE)
    first = SaveDelivery("a-submitted-0", PENDING, 1, 1005.0, 500)
    harness.batch(first, first)
    before = harness.do(ListDeliveries("a"))
    assert before[0].tries == 1
    harness.now += 5
    assert harness.do(first) is None
    assert harness.do(ListDeliveries("a")) == before
    leased(harness, "2")
    harness.do(SaveDelivery("a-submitted-0", PENDING, 2, 1015.0, 502))
    before = harness.do(ListDeliveries("a"))
    harness.do(first)  # much later
    assert harness.do(ListDeliveries("a")) == before


def test_a_sender_that_comes_late_cannot_undo_the_end_but_may_bring_it(
    harness: StoreHarness,
) -> None:
    submit(harness, "a", "b", kinds=("submitted",))
    harness.do(LEASE)
    harness.now += 60
    leased(harness, "of another sender")
    harness.do(SaveDelivery("a-submitted-0", PENDING, 1, 1090.0, 500))
    harness.do(SaveDelivery("a-submitted-0", FAILED, 1, error="410"))
    assert harness.do(ListDeliveries("a"))[0].state is PENDING
    harness.do(SaveDelivery("a-submitted-0", DELIVERED, 1, http_status=200))
    assert harness.do(ListDeliveries("a"))[0].state is DELIVERED
    harness.do(SaveDelivery("b-submitted-0", FAILED, 1, error="gone"))
    for late in (PENDING, DELIVERED):
        harness.do(SaveDelivery("b-submitted-0", late, 2, 1090.0))
    assert harness.do(ListDeliveries("b"))[0].state is FAILED


def test_the_outcome_of_an_unknown_message_is_ignored(harness: StoreHarness) -> None:
    assert harness.do(SaveDelivery("nobody", DELIVERED, 1)) is None
    assert listed(harness, "nobody") == []


# How long they are kept


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_when_a_job_is_removed_only_what_is_still_to_be_delivered_stays(
    harness: StoreHarness, how: str
) -> None:
    submit(harness, "a", kinds=("submitted", "running", "ended"))
    attempt = harness.take("a")
    harness.do(Finish("a", attempt, result="{}"))
    harness.do(LEASE)
    harness.do(SaveDelivery("a-submitted-0", DELIVERED, 1))
    harness.do(SaveDelivery("a-running-1", FAILED, 1))
    assert len(listed(harness, "a")) == 3
    harness.now += 100
    harness.do(Delete("a") if how == "deleted" else Purge(50, 1e6, 1e6))
    assert listed(harness, "a") == ["a-ended-1"]
    assert leased(harness, "2") == ["a-ended-1"]
    harness.do(SaveDelivery("a-ended-1", PENDING, 1, harness.now + 1))
    harness.now += 1
    assert leased(harness, "3") == ["a-ended-1"]
    for _ in range(2):
        harness.do(SaveDelivery("a-ended-1", DELIVERED, 2))
        assert listed(harness, "a") == []


def test_what_was_never_delivered_is_forgotten_with_its_job_s_id(harness: StoreHarness) -> None:
    submit(harness, "a", "b", kinds=("submitted", "ended"))
    harness.do(Delete("a"))
    harness.now += 100
    harness.do(Purge(keep=1000, keep_expired=100, keep_idempotency=1))
    assert listed(harness, "a") == ["a-submitted-0", "a-ended-0"]
    harness.now += 0.1
    harness.do(Purge(keep=1000, keep_expired=100, keep_idempotency=1))
    assert listed(harness, "a") == []
    assert leased(harness, "1") == ["b-submitted-0"]


def test_stats_count_the_messages_that_wait(harness: StoreHarness) -> None:
    """Also those that a sender has now; not those that are delivered or given up."""
    submit(harness, "a", "b", "c")
    for job_id in ("a", "b", "c"):
        harness.do(Cancel(job_id))
    assert harness.do(Stats()).deliveries_pending == 3
    first, second, _ = leased(harness, "first")
    harness.do(SaveDelivery(first, DELIVERED, 1, http_status=204))
    harness.do(SaveDelivery(second, FAILED, 1, error="gone"))
    assert harness.do(Stats()).deliveries_pending == 1
    harness.reopen()
    assert harness.do(Stats()).deliveries_pending == 1
