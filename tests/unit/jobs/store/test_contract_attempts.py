"""Contract: what an attempt may do to its job, and that nothing is done twice."""

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


def test_start_counts_once_an_attempt(bench: StoreHarness) -> None:
    bench.submit("a")
    bench.lease()
    bench.now += 7
    assert bench.do(Start("a", 1)) is True
    first = bench.get("a")
    assert (first.status, first.started_at, first.starts) == (Status.RUNNING, bench.now, 1)
    bench.now += 1
    assert bench.do(Start("a", 1)) is True
    assert bench.get("a") == first


def test_each_start_is_timed_anew(bench: StoreHarness) -> None:
    bench.submit("a")
    attempt = bench.take("a")
    bench.now += 10
    bench.do(Release("a", attempt, lost=True))
    assert bench.get("a").started_at is None
    bench.take("a")
    assert (bench.get("a").started_at, bench.get("a").starts) == (bench.now, 2)


@pytest.mark.parametrize("how", ["released", "lapsed", "leased again"])
def test_an_old_attempt_changes_nothing(bench: StoreHarness, how: str) -> None:
    bench.submit("a")
    bench.do(KeepAlive("s", ttl=3))
    old = bench.take("a", runner="s")
    if how == "lapsed":
        bench.now += 4
        bench.do(Sweep())
    else:
        bench.do(Release("a", old, lost=True))
    if how == "leased again":
        bench.take("a")
    before = bench.get("a")
    for op in (
        IsOwner("a", old),
        Start("a", old),
        SavePlan("a", old, "plan"),
        Finish("a", old, result="result"),
        Finish("a", old, error="error", error_code=ErrorCode.INTERNAL),
    ):
        assert bench.do(op) is False
    # A release is answered as it was the first time: it was this attempt's own, or never its.
    assert bench.do(Release("a", old, lost=True)) is (how != "lapsed")
    assert bench.get("a") == before


@pytest.mark.parametrize("attempt", [-1, 0, 1, 2])
def test_an_attempt_that_never_was_changes_nothing(bench: StoreHarness, attempt: int) -> None:
    bench.submit("a")
    before = bench.get("a")
    ops: list[Op] = [
        IsOwner("a", attempt),
        Start("a", attempt),
        SavePlan("a", attempt, "plan"),
        Finish("a", attempt, result="result"),
        Release("a", attempt, lost=False),
    ]
    assert bench.batch(*ops) == [False] * len(ops)
    assert bench.get("a") == before


def test_attempts_of_unknown_jobs_are_over(bench: StoreHarness) -> None:
    ops: list[Op] = [IsOwner("x", 1), Start("x", 1), Finish("x", 1), Release("x", 1, lost=True)]
    assert bench.batch(*ops, SavePlan("x", 1, "plan")) == [False] * 5


def test_success(bench: StoreHarness) -> None:
    bench.submit("a")
    attempt = bench.take("a")
    bench.now += 3
    assert bench.do(Finish("a", attempt, result="result")) is True
    ended = bench.get("a")
    assert (ended.status, ended.result) == (Status.SUCCEEDED, "result")
    assert (ended.error, ended.error_code, ended.runner) == (None, None, None)
    assert (ended.finished_at, ended.position) == (bench.now, 0)
    assert bench.do(IsOwner("a", attempt)) is False


def test_failure(bench: StoreHarness) -> None:
    bench.submit("a")
    attempt = bench.take("a")
    bench.do(Finish("a", attempt, error="No memory.", error_code=ErrorCode.OUT_OF_MEMORY))
    ended = bench.get("a")
    assert (ended.status, ended.result) == (Status.FAILED, None)
    assert (ended.error, ended.error_code) == ("No memory.", ErrorCode.OUT_OF_MEMORY)


def test_a_failure_without_words_still_has_some(bench: StoreHarness) -> None:
    bench.submit("a")
    bench.do(Finish("a", bench.take("a")))
    ended = bench.get("a")
    assert (ended.error, ended.error_code) == ("The job failed.", ErrorCode.INTERNAL)


def test_a_job_may_fail_before_it_starts(bench: StoreHarness) -> None:
    bench.submit("a")
    (record,) = bench.lease()
    assert bench.do(Finish("a", record.attempt, error="Not audio.")) is True
    ended = bench.get("a")
    assert (ended.status, ended.started_at, ended.starts) == (Status.FAILED, None, 0)


def test_a_result_without_a_start_is_a_start_too(bench: StoreHarness) -> None:
    bench.submit("a")
    (record,) = bench.lease()
    assert bench.do(Finish("a", record.attempt, result="result")) is True
    ended = bench.get("a")
    assert (ended.status, ended.starts) == (Status.SUCCEEDED, 1)
    assert ended.started_at == ended.finished_at == bench.now


def test_the_winner_may_finish_twice_and_nobody_else(bench: StoreHarness) -> None:
    bench.submit("a")
    bench.do(Release("a", bench.take("a"), lost=True))
    winner = bench.take("a")
    assert bench.do(Finish("a", winner, result="result")) is True
    ended = bench.get("a")
    bench.now += 1
    assert bench.do(Finish("a", winner, result="result")) is True
    assert bench.do(Finish("a", winner, error="changed its mind")) is True
    assert bench.do(Finish("a", winner - 1, result="late")) is False
    assert bench.do(Finish("a", winner + 1, result="never")) is False
    assert bench.get("a") == ended


def test_a_plan_is_kept_across_attempts(bench: StoreHarness) -> None:
    bench.submit("a", needs_plan=True)
    (first,) = bench.lease(plan_slots=1)
    assert bench.do(Start("a", first.attempt)) is True
    assert bench.do(SavePlan("a", first.attempt, "the plan")) is True
    assert bench.do(SavePlan("a", first.attempt, "the plan")) is True
    bench.do(Release("a", first.attempt, lost=True))
    assert bench.lease(plan_slots=1, decode_slots=0) == []  # it needs a decoder now
    (second,) = bench.lease(plan_slots=0, decode_slots=1)
    assert (second.plan, second.needs_plan, second.attempt) == ("the plan", True, 2)


def test_release_is_answered_alike_twice(bench: StoreHarness) -> None:
    bench.submit("a")
    attempt = bench.take("a")
    release = Release("a", attempt, lost=True)
    assert bench.batch(release, release) == [True, True]
    assert bench.get("a").starts == 1
    bench.do(Lease("r", "next", plan_slots=0, decode_slots=1))
    held = bench.get("a")
    assert bench.do(release) is True
    assert bench.get("a") == held
