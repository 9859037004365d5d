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


def test_a_submitted_job_is_read_back_whole(harness: StoreHarness) -> None:
    spec = '{"caption": "a \'quoted\' \\u0000 ♯ 歌"}'
    submit = Submit(
        "a",
        spec,
        needs_plan=True,
        owner="me",
        planner="p",
        work=480.0,
        task="cover",
        webhook='{"url": "http://x"}',
    )
    answer = harness.do(submit)
    assert answer == Submitted("a", Status.QUEUED, position=1, created=True)
    assert harness.get("a") == JobRecord(
        job_id="a",
        status=Status.QUEUED,
        spec=spec,
        created_at=harness.now,
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
        owner="me",
        task="cover",
        webhook='{"url": "http://x"}',
    )


def test_jobs_outlive_their_store(harness: StoreHarness) -> None:
    harness.submit("a", "b")
    harness.take("a")
    before = harness.get("a"), harness.get("b"), harness.do(Stats())
    harness.reopen()
    assert (harness.get("a"), harness.get("b"), harness.do(Stats())) == before


def test_positions_run_from_one_and_fall_as_jobs_start(harness: StoreHarness) -> None:
    harness.submit("a", "b", "c", "d")
    assert harness.positions() == {"a": 1, "b": 2, "c": 3, "d": 4}
    harness.take("a")
    assert harness.positions() == {"b": 1, "c": 2, "d": 3}
    assert harness.get("a").position == 0
    harness.do(Cancel("c"))
    assert harness.positions() == {"b": 1, "d": 2}


def test_the_same_job_id_again_is_the_same_job(harness: StoreHarness) -> None:
    submit = Submit("a", "spec", needs_plan=False, max_queued=1)
    first = harness.do(submit)
    assert harness.do(submit) == first
    assert harness.batch(submit, submit) == [first, first]
    assert harness.do(Stats()).queued == 1


def test_an_unknown_job_is_not_found_and_a_deleted_one_expired(harness: StoreHarness) -> None:
    with pytest.raises(JobNotFound, match="no job x"):
        harness.do(Get("x"))
    with pytest.raises(JobNotFound):
        harness.do(Cancel("x"))
    with pytest.raises(JobNotFound):
        harness.do(Delete("x"))
    harness.submit("a")
    assert harness.do(Delete("a")) is None
    for op in (Get("a"), Cancel("a"), Delete("a"), Submit("a", "spec", needs_plan=False)):
        with pytest.raises(JobExpired, match="Job a"):
            harness.do(op)


def test_a_full_queue_refuses_and_leaves_nothing_behind(harness: StoreHarness) -> None:
    harness.submit("a", "b")
    refused = Submit("c", "spec", needs_plan=False, idempotency_key="k", max_queued=2)
    with pytest.raises(QueueFull, match="2 jobs wait"):
        harness.do(refused)
    with pytest.raises(JobNotFound):
        harness.do(Get("c"))
    harness.take("a")  # a running job does not wait
    assert harness.do(refused) == Submitted("c", Status.QUEUED, position=2, created=True)


def test_an_error_undoes_its_own_operation_only(harness: StoreHarness) -> None:
    one = Submit("a", "spec", needs_plan=False, max_queued=1)
    answers = harness.batch(one, replace(one, job_id="b"), Cancel("nobody"), Get("a"))
    assert isinstance(answers[1], QueueFull)
    assert isinstance(answers[2], JobNotFound)
    assert isinstance(answers[3], JobRecord)
    assert harness.statuses() == {"a": Status.QUEUED}


def test_an_idempotency_key_names_one_job_of_its_owner(harness: StoreHarness) -> None:
    first = Submit("a", "s", needs_plan=False, owner="o", idempotency_key="k", fingerprint="f")
    assert harness.do(first).created
    again = replace(first, job_id="b")
    assert harness.do(again) == Submitted("a", Status.QUEUED, position=1, created=False)
    assert harness.do(first).created  # its own retry has the same result as before
    with pytest.raises(IdempotencyMismatch):
        harness.do(replace(again, fingerprint="other"))
    assert harness.do(replace(again, job_id="c", owner="p")).created
    assert harness.do(replace(again, job_id="d", idempotency_key="l")).created
    assert harness.statuses().keys() == {"a", "c", "d"}


def test_an_idempotency_key_is_found_after_a_restart_and_when_its_job_has_ended(
    harness: StoreHarness,
) -> None:
    first = Submit("a", "s", needs_plan=False, idempotency_key="k")
    harness.do(first)
    harness.do(Cancel("a"))
    harness.reopen()
    assert harness.do(replace(first, job_id="b")) == Submitted("a", Status.FAILED, 0, created=False)


def test_the_key_of_a_full_queue_is_still_answered(harness: StoreHarness) -> None:
    first = Submit("a", "s", needs_plan=False, idempotency_key="k", max_queued=1)
    harness.do(first)
    assert harness.do(replace(first, job_id="b")).job_id == "a"


def test_the_key_of_a_deleted_job_is_free_again(harness: StoreHarness) -> None:
    first = Submit("a", "s", needs_plan=False, idempotency_key="k", fingerprint="f")
    harness.do(first)
    harness.do(Delete("a"))
    assert harness.do(replace(first, job_id="b", fingerprint="g")).created


def test_listing_is_newest_first_and_pages(harness: StoreHarness) -> None:
    harness.submit("a", "b", "c", "d", "e")
    first = harness.do(ListJobs(limit=2))
    assert [record.job_id for record in first] == ["e", "d"]
    rest = harness.do(ListJobs(limit=9, before=first[-1].place))
    assert [record.job_id for record in rest] == ["c", "b", "a"]
    assert harness.do(ListJobs(before=rest[-1].place)) == []
    assert harness.do(ListJobs(limit=0)) == harness.do(ListJobs(limit=-1)) == []
    assert len(harness.do(ListJobs(before=10**30, limit=10**30))) == 5


def test_listing_by_status_and_owner(harness: StoreHarness) -> None:
    for job_id, owner in (("a", "x"), ("b", "y"), ("c", "x")):
        harness.do(Submit(job_id, "spec", needs_plan=False, owner=owner))
    harness.take("a")
    listed = [
        [record.job_id for record in harness.do(ListJobs(status=status, owner=owner))]
        for status, owner in (
            (Status.QUEUED, None),
            (Status.QUEUED, "x"),
            (Status.RUNNING, None),
            (None, "x"),
            (Status.SUCCEEDED, "x"),
        )
    ]
    assert listed == [["c", "b"], ["c"], ["a"], ["c", "a"], []]


def test_listing_by_error(harness: StoreHarness) -> None:
    for number, code in enumerate([*ErrorCode] * 2):
        owner = "x" if number % 2 else "y"
        harness.do(Submit(f"j{number:02}", "spec", needs_plan=False, owner=owner))
        if code is ErrorCode.CANCELLED:
            harness.do(Cancel(f"j{number:02}"))
        else:
            attempt = harness.take(f"j{number:02}")
            harness.do(Finish(f"j{number:02}", attempt, error="It failed.", error_code=code))
    harness.succeed("good")
    harness.submit("waits")

    def listed(**query: Any) -> list[str]:
        return [record.job_id for record in harness.do(ListJobs(**query))]

    every = [f"j{number:02}" for number in range(17, -1, -1)]
    cancelled, others = (ErrorCode.CANCELLED,), (*[*ErrorCode][1:],)
    assert listed(error_codes=cancelled) == ["j09", "j00"]
    assert listed(error_codes=(ErrorCode.TIMEOUT,), status=Status.FAILED) == ["j16", "j07"]
    assert listed(error_codes=cancelled + others) == every
    without = [job_id for job_id in every if job_id not in ("j09", "j00")]
    assert listed(error_codes=others) == without
    assert listed(error_codes=others, owner="x") == [j for j in without if int(j[1:]) % 2]
    assert listed(error_codes=others, limit=3) == without[:3]
    (third,) = harness.do(ListJobs(error_codes=others, limit=3))[2:]
    assert listed(error_codes=others, limit=3, before=third.place) == without[3:6]
    for status in (Status.QUEUED, Status.RUNNING, Status.SUCCEEDED):
        assert listed(error_codes=cancelled, status=status) == []
    assert listed(error_codes=others, owner="nobody") == listed(error_codes=others, limit=0) == []
    harness.do(Delete("j09"))
    assert listed(error_codes=cancelled) == ["j00"]
    harness.do(Sweep())
    assert listed(error_codes=cancelled + others) == [j for j in every if j != "j09"]
    harness.now += 100
    harness.do(Purge(keep=10, keep_expired=1e6, keep_idempotency=1e6))
    assert listed(error_codes=cancelled + others) == listed(error_codes=others, owner="y") == []


def test_a_brief_list_has_no_long_texts(harness: StoreHarness) -> None:
    harness.submit("a")
    attempt = harness.take("a")
    harness.do(SavePlan("a", attempt, "a plan"))
    harness.do(Finish("a", attempt, result="a result"))
    (whole,) = harness.do(ListJobs())
    assert (whole.plan, whole.result) == ("a plan", "a result")
    assert harness.do(ListJobs(brief=True)) == [replace(whole, plan=None, result=None)]
    assert harness.do(ListJobs(Status.SUCCEEDED, brief=True))[0].spec == "spec of a"


@pytest.mark.parametrize("state", ["queued", "leased", "running"])
def test_cancel_ends_a_job_at_once_and_takes_it_from_its_runner(
    harness: StoreHarness, state: str
) -> None:
    harness.submit("a")
    attempt = 0
    if state == "leased":
        attempt = harness.lease()[0].attempt
    elif state == "running":
        attempt = harness.take("a")
    harness.now += 5
    cancelled = harness.do(Cancel("a"))
    assert cancelled.status is Status.FAILED
    assert cancelled.error_code is ErrorCode.CANCELLED
    assert cancelled.error == "The job was cancelled."
    assert cancelled.finished_at == harness.now
    assert cancelled.runner is None
    harness.now += 5
    assert harness.do(Cancel("a")) == cancelled == harness.get("a")
    for op in (
        IsOwner("a", attempt),
        Start("a", attempt),
        SavePlan("a", attempt, "plan"),
        Finish("a", attempt, result="late"),
        Release("a", attempt, lost=True),
    ):
        assert harness.do(op) is False
    assert harness.get("a") == cancelled
    assert harness.lease(decode_slots=5) == []


def test_a_job_that_ended_otherwise_cannot_be_cancelled(harness: StoreHarness) -> None:
    harness.succeed("a")
    ended = harness.get("a")
    with pytest.raises(AlreadyEnded, match="already succeeded"):
        harness.do(Cancel("a"))
    assert harness.get("a") == ended


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_delete_ends_and_forgets(harness: StoreHarness, state: str) -> None:
    attempt = 1
    if state == "succeeded":
        harness.succeed("a")
    else:
        harness.submit("a")
    if state == "running":
        attempt = harness.take("a")
    harness.do(Delete("a"))
    assert harness.do(IsOwner("a", attempt)) is False
    assert harness.do(Finish("a", attempt, result="late")) is False
    assert harness.do(Stats()) == StoreStats(0, 0, 0, 0, 0, ())
    assert harness.statuses() == {}
    harness.reopen()
    assert harness.do(Stats()) == StoreStats(0, 0, 0, 0, 0, ())
    with pytest.raises(JobExpired):
        harness.do(Get("a"))


def test_stats_count_by_status(harness: StoreHarness) -> None:
    harness.succeed("a", seconds=2)
    harness.succeed("b", seconds=4)
    harness.submit("c", "d")
    harness.do(Cancel("c"))
    harness.submit("e", "f", needs_plan=True)
    harness.take("d")
    expected = StoreStats(
        queued=2,
        running=1,
        succeeded=2,
        failed=1,
        queued_for_plan=2,
        recent_seconds=(4.0, 2.0),
        oldest_queued_at=harness.get("e").created_at,
    )
    assert harness.do(Stats()) == expected
    harness.reopen()
    assert harness.do(Stats()) == expected


def test_the_oldest_queued_job_is_the_one_that_waits_longest(harness: StoreHarness) -> None:
    """Alerts on its age must not be silenced by a job that was given back, or by an ended one."""
    harness.submit("a", "b")
    first = harness.get("a").created_at
    harness.now += 100
    harness.submit("c")
    assert harness.do(Stats()).oldest_queued_at == first
    attempt = harness.take("a")
    assert harness.do(Release("a", attempt, lost=True, max_starts=3)) is True
    assert harness.do(Stats()).oldest_queued_at == first
    harness.do(Cancel("a"))
    harness.do(Cancel("b"))
    assert harness.do(Stats()).oldest_queued_at == first + 100
    harness.do(Cancel("c"))
    assert harness.do(Stats()).oldest_queued_at is None


def test_stats_have_the_last_fifty_durations(harness: StoreHarness) -> None:
    for number in range(60):
        harness.succeed(f"job {number}", seconds=number)
    assert harness.do(Stats()).recent_seconds == tuple(range(59, 9, -1))


def test_stats_have_the_times_of_jobs(harness: StoreHarness) -> None:
    harness.do(Submit("a", "spec", needs_plan=True, work=100.0))
    (record,) = harness.lease(plan_slots=1)
    harness.do(SavePlan("a", record.attempt, "plan", seconds=1.5, work=240.0))
    harness.do(Finish("a", record.attempt, result="result", device_seconds=3.0))
    harness.succeed("without times")
    assert harness.do(Stats()).recent_paces == (JobTiming(240.0, 3.0, 1.5),)


def test_the_backlog_is_what_has_not_ended(harness: StoreHarness) -> None:
    harness.do(Submit("a", "spec", needs_plan=True, planner="p", work=10.0))
    harness.do(Submit("b", "spec", needs_plan=True, planner="q", work=20.0))
    harness.do(Submit("c", "spec", needs_plan=False, work=30.0))
    harness.submit("d")
    harness.do(Cancel("d"))
    lease = Lease("r", "1", 2, 1, planner_slots={"p": 1, "q": 0}, cluster="east")
    a, c = harness.do(lease)
    harness.do(SavePlan("a", a.attempt, "plan", work=15.0))
    harness.do(Start("c", c.attempt))
    queued, running = Status.QUEUED, Status.RUNNING
    assert harness.do(Backlog()) == [
        BacklogItem("a", 1, queued, None, 15.0, leased=True, cluster="east"),
        BacklogItem("b", 2, queued, "q", 20.0, leased=False, cluster=""),
        BacklogItem("c", 3, running, None, 30.0, leased=True, cluster="east"),
    ]
    harness.do(Release("c", c.attempt, lost=True))
    assert harness.do(Backlog())[2] == BacklogItem("c", 3, queued, None, 30.0, False, "")
