"""Contract: submitting, reading, listing, cancelling, deleting."""

from dataclasses import replace
from typing import Any

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.errors import (
    AlreadyEnded,
    IdempotencyMismatch,
    JobExpired,
    JobNotFound,
    QueueFull,
)
from acestep_ray.jobs.store.operations import (
    Backlog,
    Cancel,
    Delete,
    Finish,
    Get,
    IsOwner,
    Lease,
    ListJobs,
    Purge,
    Release,
    SavePlan,
    Start,
    Stats,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.records import BacklogItem, JobRecord, JobTiming, StoreStats, Submitted
from tests.unit.jobs.store.contract import StoreHarness


def test_a_submitted_job_is_read_back_whole(bench: StoreHarness) -> None:
    spec = '{"caption": "a \'quoted\' \\u0000 ♯ 歌"}'
    answer = bench.do(Submit("a", spec, needs_plan=True, owner="me", planner="p", work=480.0))
    assert answer == Submitted("a", Status.QUEUED, position=1, created=True)
    assert bench.get("a") == JobRecord(
        job_id="a",
        status=Status.QUEUED,
        spec=spec,
        created_at=bench.now,
        started_at=None,
        finished_at=None,
        place=1,
        position=1,
        attempt=0,
        starts=0,
        needs_plan=True,
        planner="p",
        work=480.0,
        runner=None,
        plan=None,
        result=None,
        error=None,
        error_code=None,
        plan_pending=True,
    )


def test_jobs_outlive_their_store(bench: StoreHarness) -> None:
    bench.submit("a", "b")
    bench.take("a")
    before = bench.get("a"), bench.get("b"), bench.do(Stats())
    bench.reopen()
    assert (bench.get("a"), bench.get("b"), bench.do(Stats())) == before


def test_positions_run_from_one_and_fall_as_jobs_start(bench: StoreHarness) -> None:
    bench.submit("a", "b", "c", "d")
    assert bench.positions() == {"a": 1, "b": 2, "c": 3, "d": 4}
    bench.take("a")
    assert bench.positions() == {"b": 1, "c": 2, "d": 3}
    assert bench.get("a").position == 0
    bench.do(Cancel("c"))
    assert bench.positions() == {"b": 1, "d": 2}


def test_the_same_job_id_again_is_the_same_job(bench: StoreHarness) -> None:
    submit = Submit("a", "spec", needs_plan=False, max_queued=1)
    first = bench.do(submit)
    assert bench.do(submit) == first
    assert bench.batch(submit, submit) == [first, first]
    assert bench.do(Stats()).queued == 1


def test_an_unknown_job_is_not_found_and_a_deleted_one_expired(bench: StoreHarness) -> None:
    with pytest.raises(JobNotFound, match="no job x"):
        bench.do(Get("x"))
    with pytest.raises(JobNotFound):
        bench.do(Cancel("x"))
    with pytest.raises(JobNotFound):
        bench.do(Delete("x"))
    bench.submit("a")
    assert bench.do(Delete("a")) is None
    for op in (Get("a"), Cancel("a"), Delete("a"), Submit("a", "spec", needs_plan=False)):
        with pytest.raises(JobExpired, match="Job a"):
            bench.do(op)


def test_a_full_queue_refuses_and_leaves_nothing_behind(bench: StoreHarness) -> None:
    bench.submit("a", "b")
    refused = Submit("c", "spec", needs_plan=False, idempotency_key="k", max_queued=2)
    with pytest.raises(QueueFull, match="2 jobs wait"):
        bench.do(refused)
    with pytest.raises(JobNotFound):
        bench.do(Get("c"))
    bench.take("a")  # a running job does not wait
    assert bench.do(refused) == Submitted("c", Status.QUEUED, position=2, created=True)


def test_an_error_undoes_its_own_operation_only(bench: StoreHarness) -> None:
    one = Submit("a", "spec", needs_plan=False, max_queued=1)
    answers = bench.batch(one, replace(one, job_id="b"), Cancel("nobody"), Get("a"))
    assert isinstance(answers[1], QueueFull)
    assert isinstance(answers[2], JobNotFound)
    assert isinstance(answers[3], JobRecord)
    assert bench.statuses() == {"a": Status.QUEUED}


def test_an_idempotency_key_names_one_job_of_its_owner(bench: StoreHarness) -> None:
    first = Submit("a", "s", needs_plan=False, owner="o", idempotency_key="k", fingerprint="f")
    assert bench.do(first).created
    again = replace(first, job_id="b")
    assert bench.do(again) == Submitted("a", Status.QUEUED, position=1, created=False)
    assert bench.do(first).created  # its own retry is answered as before
    with pytest.raises(IdempotencyMismatch):
        bench.do(replace(again, fingerprint="other"))
    assert bench.do(replace(again, job_id="c", owner="p")).created
    assert bench.do(replace(again, job_id="d", idempotency_key="l")).created
    assert bench.statuses().keys() == {"a", "c", "d"}


def test_an_idempotency_key_is_found_after_a_restart_and_when_its_job_has_ended(
    bench: StoreHarness,
) -> None:
    first = Submit("a", "s", needs_plan=False, idempotency_key="k")
    bench.do(first)
    bench.do(Cancel("a"))
    bench.reopen()
    assert bench.do(replace(first, job_id="b")) == Submitted("a", Status.FAILED, 0, created=False)


def test_the_key_of_a_full_queue_is_still_answered(bench: StoreHarness) -> None:
    first = Submit("a", "s", needs_plan=False, idempotency_key="k", max_queued=1)
    bench.do(first)
    assert bench.do(replace(first, job_id="b")).job_id == "a"


def test_the_key_of_a_deleted_job_is_free_again(bench: StoreHarness) -> None:
    first = Submit("a", "s", needs_plan=False, idempotency_key="k", fingerprint="f")
    bench.do(first)
    bench.do(Delete("a"))
    assert bench.do(replace(first, job_id="b", fingerprint="g")).created


def test_listing_is_newest_first_and_pages(bench: StoreHarness) -> None:
    bench.submit("a", "b", "c", "d", "e")
    first = bench.do(ListJobs(limit=2))
    assert [record.job_id for record in first] == ["e", "d"]
    rest = bench.do(ListJobs(limit=9, before=first[-1].place))
    assert [record.job_id for record in rest] == ["c", "b", "a"]
    assert bench.do(ListJobs(before=rest[-1].place)) == []
    assert bench.do(ListJobs(limit=0)) == bench.do(ListJobs(limit=-1)) == []
    assert len(bench.do(ListJobs(before=10**30, limit=10**30))) == 5


def test_listing_by_status_and_owner(bench: StoreHarness) -> None:
    for job_id, owner in (("a", "x"), ("b", "y"), ("c", "x")):
        bench.do(Submit(job_id, "spec", needs_plan=False, owner=owner))
    bench.take("a")
    listed = [
        [record.job_id for record in bench.do(ListJobs(status=status, owner=owner))]
        for status, owner in (
            (Status.QUEUED, None),
            (Status.QUEUED, "x"),
            (Status.RUNNING, None),
            (None, "x"),
            (Status.SUCCEEDED, "x"),
        )
    ]
    assert listed == [["c", "b"], ["c"], ["a"], ["c", "a"], []]


def test_listing_by_error(bench: StoreHarness) -> None:
    for number, code in enumerate([*ErrorCode] * 2):
        owner = "x" if number % 2 else "y"
        bench.do(Submit(f"j{number:02}", "spec", needs_plan=False, owner=owner))
        if code is ErrorCode.CANCELLED:
            bench.do(Cancel(f"j{number:02}"))
        else:
            attempt = bench.take(f"j{number:02}")
            bench.do(Finish(f"j{number:02}", attempt, error="It failed.", error_code=code))
    bench.succeed("good")
    bench.submit("waits")

    def listed(**query: Any) -> list[str]:
        return [record.job_id for record in bench.do(ListJobs(**query))]

    every = [f"j{number:02}" for number in range(17, -1, -1)]
    cancelled, others = (ErrorCode.CANCELLED,), (*[*ErrorCode][1:],)
    assert listed(error_codes=cancelled) == ["j09", "j00"]
    assert listed(error_codes=(ErrorCode.TIMEOUT,), status=Status.FAILED) == ["j16", "j07"]
    assert listed(error_codes=cancelled + others) == every
    without = [job_id for job_id in every if job_id not in ("j09", "j00")]
    assert listed(error_codes=others) == without
    assert listed(error_codes=others, owner="x") == [j for j in without if int(j[1:]) % 2]
    assert listed(error_codes=others, limit=3) == without[:3]
    (third,) = bench.do(ListJobs(error_codes=others, limit=3))[2:]
    assert listed(error_codes=others, limit=3, before=third.place) == without[3:6]
    for status in (Status.QUEUED, Status.RUNNING, Status.SUCCEEDED):
        assert listed(error_codes=cancelled, status=status) == []
    assert listed(error_codes=others, owner="nobody") == listed(error_codes=others, limit=0) == []
    bench.do(Delete("j09"))
    assert listed(error_codes=cancelled) == ["j00"]
    bench.do(Sweep())
    assert listed(error_codes=cancelled + others) == [j for j in every if j != "j09"]
    bench.now += 100
    bench.do(Purge(keep=10, keep_expired=1e6, keep_idempotency=1e6))
    assert listed(error_codes=cancelled + others) == listed(error_codes=others, owner="y") == []


def test_a_brief_list_has_no_long_texts(bench: StoreHarness) -> None:
    bench.submit("a")
    attempt = bench.take("a")
    bench.do(SavePlan("a", attempt, "a plan"))
    bench.do(Finish("a", attempt, result="a result"))
    (whole,) = bench.do(ListJobs())
    assert (whole.plan, whole.result) == ("a plan", "a result")
    assert bench.do(ListJobs(brief=True)) == [replace(whole, plan=None, result=None)]
    assert bench.do(ListJobs(Status.SUCCEEDED, brief=True))[0].spec == "spec of a"


@pytest.mark.parametrize("state", ["queued", "leased", "running"])
def test_cancel_ends_a_job_at_once_and_takes_it_from_its_runner(
    bench: StoreHarness, state: str
) -> None:
    bench.submit("a")
    attempt = 0
    if state == "leased":
        attempt = bench.lease()[0].attempt
    elif state == "running":
        attempt = bench.take("a")
    bench.now += 5
    cancelled = bench.do(Cancel("a"))
    assert cancelled.status is Status.FAILED
    assert cancelled.error_code is ErrorCode.CANCELLED
    assert cancelled.error == "The job was cancelled."
    assert cancelled.finished_at == bench.now
    assert cancelled.runner is None
    bench.now += 5
    assert bench.do(Cancel("a")) == cancelled == bench.get("a")
    for op in (
        IsOwner("a", attempt),
        Start("a", attempt),
        SavePlan("a", attempt, "plan"),
        Finish("a", attempt, result="late"),
        Release("a", attempt, lost=True),
    ):
        assert bench.do(op) is False
    assert bench.get("a") == cancelled
    assert bench.lease(decode_slots=5) == []


def test_a_job_that_ended_otherwise_cannot_be_cancelled(bench: StoreHarness) -> None:
    bench.succeed("a")
    ended = bench.get("a")
    with pytest.raises(AlreadyEnded, match="already succeeded"):
        bench.do(Cancel("a"))
    assert bench.get("a") == ended


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_delete_ends_and_forgets(bench: StoreHarness, state: str) -> None:
    attempt = 1
    if state == "succeeded":
        bench.succeed("a")
    else:
        bench.submit("a")
    if state == "running":
        attempt = bench.take("a")
    bench.do(Delete("a"))
    assert bench.do(IsOwner("a", attempt)) is False
    assert bench.do(Finish("a", attempt, result="late")) is False
    assert bench.do(Stats()) == StoreStats(0, 0, 0, 0, 0, ())
    assert bench.statuses() == {}
    bench.reopen()
    assert bench.do(Stats()) == StoreStats(0, 0, 0, 0, 0, ())
    with pytest.raises(JobExpired):
        bench.do(Get("a"))


def test_stats_count_by_status(bench: StoreHarness) -> None:
    bench.succeed("a", seconds=2)
    bench.succeed("b", seconds=4)
    bench.submit("c", "d")
    bench.do(Cancel("c"))
    bench.submit("e", "f", needs_plan=True)
    bench.take("d")
    expected = StoreStats(
        queued=2, running=1, succeeded=2, failed=1, queued_for_plan=2, recent_seconds=(4.0, 2.0)
    )
    assert bench.do(Stats()) == expected
    bench.reopen()
    assert bench.do(Stats()) == expected


def test_stats_tell_the_last_fifty_durations(bench: StoreHarness) -> None:
    for number in range(60):
        bench.succeed(f"job {number}", seconds=number)
    assert bench.do(Stats()).recent_seconds == tuple(range(59, 9, -1))


def test_stats_tell_what_jobs_took(bench: StoreHarness) -> None:
    bench.do(Submit("a", "spec", needs_plan=True, work=100.0))
    (record,) = bench.lease(plan_slots=1)
    bench.do(SavePlan("a", record.attempt, "plan", seconds=1.5, work=240.0))
    bench.do(Finish("a", record.attempt, result="result", device_seconds=3.0))
    bench.succeed("untold")
    assert bench.do(Stats()).recent_paces == (JobTiming(240.0, 3.0, 1.5),)


def test_the_backlog_is_what_has_not_ended(bench: StoreHarness) -> None:
    bench.do(Submit("a", "spec", needs_plan=True, planner="p", work=10.0))
    bench.do(Submit("b", "spec", needs_plan=True, planner="q", work=20.0))
    bench.do(Submit("c", "spec", needs_plan=False, work=30.0))
    bench.submit("d")
    bench.do(Cancel("d"))
    lease = Lease("r", "1", 2, 1, planner_slots={"p": 1, "q": 0}, cluster="east")
    a, c = bench.do(lease)
    bench.do(SavePlan("a", a.attempt, "plan", work=15.0))
    bench.do(Start("c", c.attempt))
    queued, running = Status.QUEUED, Status.RUNNING
    assert bench.do(Backlog()) == [
        BacklogItem("a", 1, queued, None, 15.0, leased=True, cluster="east"),
        BacklogItem("b", 2, queued, "q", 20.0, leased=False, cluster=""),
        BacklogItem("c", 3, running, None, 30.0, leased=True, cluster="east"),
    ]
    bench.do(Release("c", c.attempt, lost=True))
    assert bench.do(Backlog())[2] == BacklogItem("c", 3, queued, None, 30.0, False, "")


def test_changes_tell_every_change_of_a_job(bench: StoreHarness) -> None:
    bench.submit("a", "b")
    bench.take("a")
    bench.do(SavePlan("a", 1, "plan"))
    assert bench.store.take_changes() == [
        ("a", Status.QUEUED),
        ("b", Status.QUEUED),
        ("a", Status.RUNNING),
    ]
    bench.batch(Release("a", 1, lost=True), Cancel("b"), Cancel("b"), Get("a"), Sweep())
    assert bench.store.take_changes() == [("a", Status.QUEUED), ("b", Status.FAILED)]
    bench.batch(Delete("a"), Delete("b"))
    assert bench.store.take_changes() == [("a", Status.FAILED), ("b", Status.FAILED)]
    assert bench.store.take_changes() == []


def test_a_plan_and_a_returned_lease_are_changes_for_whoever_waits_for_a_slot(
    bench: StoreHarness,
) -> None:
    bench.submit("a", needs_plan=True)
    (record,) = bench.lease(plan_slots=1)
    bench.store.take_changes()
    bench.do(SavePlan("a", record.attempt, "plan"))
    assert bench.store.take_changes() == [("a", Status.QUEUED)]
    bench.do(Release("a", record.attempt, lost=False))
    assert bench.store.take_changes() == [("a", Status.QUEUED)]
