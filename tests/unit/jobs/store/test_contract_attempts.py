"""Contract: how an attempt may change its job, and that nothing is done twice."""

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.operations import (
    Finish,
    IsOwner,
    KeepAlive,
    Lease,
    Op,
    Release,
    SavePlan,
    Start,
    Sweep,
)
from tests.unit.jobs.store.contract import StoreHarness


def test_start_counts_once_an_attempt(harness: StoreHarness) -> None:
    harness.submit("a")
    harness.lease()
    harness.now += 7
    assert harness.do(Start("a", 1)) is True
    first = harness.get("a")
    assert (first.status, first.started_at, first.starts) == (Status.RUNNING, harness.now, 1)
    harness.now += 1
    assert harness.do(Start("a", 1)) is True
    assert harness.get("a") == first


def test_each_start_is_timed_anew(harness: StoreHarness) -> None:
    harness.submit("a")
    attempt = harness.take("a")
    harness.now += 10
    harness.do(Release("a", attempt, lost=True))
    assert harness.get("a").started_at is None
    harness.take("a")
    assert (harness.get("a").started_at, harness.get("a").starts) == (harness.now, 2)


@pytest.mark.parametrize("how", ["released", "lapsed", "leased again"])
def test_an_old_attempt_changes_nothing(harness: StoreHarness, how: str) -> None:
    harness.submit("a")
    harness.do(KeepAlive("s", ttl=3))
    old = harness.take("a", runner="s")
    if how == "lapsed":
        harness.now += 4
        harness.do(Sweep())
    else:
        harness.do(Release("a", old, lost=True))
    if how == "leased again":
        harness.take("a")
    before = harness.get("a")
    for op in (
        IsOwner("a", old),
        Start("a", old),
        SavePlan("a", old, "plan"),
        Finish("a", old, result="result"),
        Finish("a", old, error="error", error_code=ErrorCode.INTERNAL),
    ):
        assert harness.do(op) is False
    # A release returns the same as the first time: true only if this attempt released the job.
    assert harness.do(Release("a", old, lost=True)) is (how != "lapsed")
    assert harness.get("a") == before


@pytest.mark.parametrize("attempt", [-1, 0, 1, 2])
def test_an_attempt_that_never_was_changes_nothing(harness: StoreHarness, attempt: int) -> None:
    harness.submit("a")
    before = harness.get("a")
    ops: list[Op] = [
        IsOwner("a", attempt),
        Start("a", attempt),
        SavePlan("a", attempt, "plan"),
        Finish("a", attempt, result="result"),
        Release("a", attempt, lost=False),
    ]
    assert harness.batch(*ops) == [False] * len(ops)
    assert harness.get("a") == before


def test_attempts_of_unknown_jobs_are_over(harness: StoreHarness) -> None:
    ops: list[Op] = [IsOwner("x", 1), Start("x", 1), Finish("x", 1), Release("x", 1, lost=True)]
    assert harness.batch(*ops, SavePlan("x", 1, "plan")) == [False] * 5


def test_success(harness: StoreHarness) -> None:
    harness.submit("a")
    attempt = harness.take("a")
    harness.now += 3
    assert harness.do(Finish("a", attempt, result="result")) is True
    ended = harness.get("a")
    assert (ended.status, ended.result) == (Status.SUCCEEDED, "result")
    assert (ended.error, ended.error_code, ended.runner) == (None, None, None)
    assert (ended.finished_at, ended.position) == (harness.now, 0)
    assert harness.do(IsOwner("a", attempt)) is False


def test_failure(harness: StoreHarness) -> None:
    harness.submit("a")
    attempt = harness.take("a")
    harness.do(Finish("a", attempt, error="No memory.", error_code=ErrorCode.OUT_OF_MEMORY))
    ended = harness.get("a")
    assert (ended.status, ended.result) == (Status.FAILED, None)
    assert (ended.error, ended.error_code) == ("No memory.", ErrorCode.OUT_OF_MEMORY)


def test_a_failure_without_words_still_has_some(harness: StoreHarness) -> None:
    harness.submit("a")
    harness.do(Finish("a", harness.take("a")))
    ended = harness.get("a")
    assert (ended.error, ended.error_code) == ("The job failed.", ErrorCode.INTERNAL)


def test_a_job_may_fail_before_it_starts(harness: StoreHarness) -> None:
    harness.submit("a")
    (record,) = harness.lease()
    assert harness.do(Finish("a", record.attempt, error="Not audio.")) is True
    ended = harness.get("a")
    assert (ended.status, ended.started_at, ended.starts) == (Status.FAILED, None, 0)


def test_a_result_without_a_start_is_a_start_too(harness: StoreHarness) -> None:
    harness.submit("a")
    (record,) = harness.lease()
    assert harness.do(Finish("a", record.attempt, result="result")) is True
    ended = harness.get("a")
    assert (ended.status, ended.starts) == (Status.SUCCEEDED, 1)
    assert ended.started_at == ended.finished_at == harness.now


def test_the_winner_may_finish_twice_and_nobody_else(harness: StoreHarness) -> None:
    harness.submit("a")
    harness.do(Release("a", harness.take("a"), lost=True))
    winner = harness.take("a")
    assert harness.do(Finish("a", winner, result="result")) is True
    ended = harness.get("a")
    harness.now += 1
    assert harness.do(Finish("a", winner, result="result")) is True
    assert harness.do(Finish("a", winner, error="changed its mind")) is True
    assert harness.do(Finish("a", winner - 1, result="late")) is False
    assert harness.do(Finish("a", winner + 1, result="never")) is False
    assert harness.get("a") == ended


def test_a_plan_is_kept_across_attempts(harness: StoreHarness) -> None:
    harness.submit("a", needs_plan=True)
    (first,) = harness.lease(plan_slots=1)
    assert harness.do(Start("a", first.attempt)) is True
    assert harness.do(SavePlan("a", first.attempt, "the plan")) is True
    assert harness.do(SavePlan("a", first.attempt, "the plan")) is True
    harness.do(Release("a", first.attempt, lost=True))
    assert harness.lease(plan_slots=1, decode_slots=0) == []  # now it needs a decoder
    (second,) = harness.lease(plan_slots=0, decode_slots=1)
    assert (second.plan, second.needs_plan, second.attempt) == ("the plan", True, 2)


def test_release_is_answered_alike_twice(harness: StoreHarness) -> None:
    harness.submit("a")
    attempt = harness.take("a")
    release = Release("a", attempt, lost=True)
    assert harness.batch(release, release) == [True, True]
    assert harness.get("a").starts == 1
    harness.do(Lease("r", "next", plan_slots=0, decode_slots=1))
    held = harness.get("a")
    assert harness.do(release) is True
    assert harness.get("a") == held
