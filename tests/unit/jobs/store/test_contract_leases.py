"""Contract: which runner gets which job, and what becomes of jobs whose runner is gone."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.operations import (
    Cancel,
    Deregister,
    ExtendLeases,
    Finish,
    IsOwner,
    KeepAlive,
    Lease,
    Release,
    SavePlan,
    Start,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.records import JobRecord
from tests.unit.jobs.store.contract import StoreHarness


def ids(records: Sequence[JobRecord]) -> list[str]:
    return [record.job_id for record in records]


def test_jobs_are_leased_in_order_and_stay_queued_until_they_start(bench: StoreHarness) -> None:
    bench.submit("a", "b", "c")
    leased = bench.lease(decode_slots=2)
    assert ids(leased) == ["a", "b"]
    assert leased == [bench.get("a"), bench.get("b")]
    assert [(r.attempt, r.runner, r.status) for r in leased] == [(1, "r", Status.QUEUED)] * 2
    assert bench.positions() == {"a": 1, "b": 2, "c": 3}


def test_slots_are_shared_by_all_runners(bench: StoreHarness) -> None:
    bench.submit("a", "b", "c")
    bench.do(KeepAlive("s", ttl=10))
    assert ids(bench.lease("r", decode_slots=2)) == ["a", "b"]
    assert bench.lease("s", decode_slots=2) == []
    bench.do(Cancel("b"))
    assert ids(bench.lease("s", decode_slots=2)) == ["c"]


def test_a_job_whose_slots_are_taken_is_passed_over_for_the_other_kind_only(
    bench: StoreHarness,
) -> None:
    bench.submit("p1", "p2", needs_plan=True)
    bench.submit("d1", "d2")
    assert ids(bench.lease(plan_slots=1, decode_slots=1)) == ["p1", "d1"]
    assert bench.lease(plan_slots=1, decode_slots=1) == []
    assert ids(bench.lease(plan_slots=1, decode_slots=2)) == ["d2"]
    assert ids(bench.lease(plan_slots=2, decode_slots=2)) == ["p2"]


def test_each_planner_has_slots_of_its_own(bench: StoreHarness) -> None:
    for job_id, planner in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c")):
        bench.do(Submit(job_id, "spec", needs_plan=True, planner=planner))
    slots = {"a": 1, "b": 1}
    leased = bench.do(Lease("r", "1", plan_slots=2, decode_slots=9, planner_slots=slots))
    assert ids(leased) == ["a1", "b1"]  # a2 waits for a's slot, and is passed over
    # c is not named, so what is left of all slots is its own.
    leased = bench.do(Lease("r", "2", plan_slots=4, decode_slots=9, planner_slots=slots))
    assert ids(leased) == ["c1"]
    bench.do(SavePlan("a1", 1, "plan"))
    leased = bench.do(Lease("r", "3", plan_slots=3, decode_slots=9, planner_slots=slots))
    assert ids(leased) == ["a2"]


def test_each_cluster_has_slots_of_its_own(bench: StoreHarness) -> None:
    bench.submit("a", "b", "c")
    bench.do(KeepAlive("s", ttl=10))
    east = Lease("r", "1", plan_slots=0, decode_slots=1, cluster="east")
    west = Lease("s", "1", plan_slots=0, decode_slots=1, cluster="west")
    assert ids(bench.do(east)) == ["a"]
    assert ids(bench.do(west)) == ["b"]
    assert bench.do(replace(east, request_id="2")) == []
    bench.do(Deregister("s"))
    assert bench.do(replace(east, request_id="3")) == []
    bench.do(Release("a", 1, lost=False))
    assert ids(bench.do(replace(east, request_id="4"))) == ["a"]


def test_a_planned_job_takes_a_decode_slot(bench: StoreHarness) -> None:
    bench.submit("p1", "p2", needs_plan=True)
    bench.submit("d")
    (p1,) = bench.lease(plan_slots=1, decode_slots=0)
    bench.do(SavePlan("p1", p1.attempt, "plan"))
    # p1 holds the decode slot, so d waits; the plan slot is free for p2.
    assert ids(bench.lease(plan_slots=1, decode_slots=1)) == ["p2"]


def test_no_plan_is_begun_that_could_only_wait(bench: StoreHarness) -> None:
    bench.submit("p1", "p2", "p3", needs_plan=True)
    for record in bench.lease(plan_slots=2, decode_slots=0):
        bench.do(SavePlan(record.job_id, record.attempt, "plan"))
    # Two planned jobs, one decoder: with one plan slot, all that both can hold is taken.
    assert bench.lease(plan_slots=1, decode_slots=1) == []
    assert ids(bench.lease(plan_slots=2, decode_slots=1)) == ["p3"]


def test_what_is_handed_out_counts_against_the_sum_of_slots_in_the_order_of_places(
    bench: StoreHarness,
) -> None:
    bench.submit("a", "b", needs_plan=True)
    for record in bench.lease(plan_slots=2):
        bench.do(SavePlan(record.job_id, record.attempt, "plan"))
    bench.do(Cancel("b"))
    bench.submit("d")
    bench.submit("p", "q", needs_plan=True)
    # One held, of 2 + 2: room for d, and then for both plans.
    assert ids(bench.lease(plan_slots=2, decode_slots=2)) == ["d", "p", "q"]


def test_a_repeated_request_is_answered_with_the_same_jobs(bench: StoreHarness) -> None:
    bench.submit("a", "b", "c")
    request = Lease("r", "once", plan_slots=0, decode_slots=2)
    first = bench.do(request)
    assert bench.do(request) == first
    bench.reopen()
    assert bench.do(request) == first
    bench.do(Cancel("a"))
    bench.do(Start("b", 1))
    assert bench.do(request) == [bench.get("b")]
    bench.do(Finish("b", 1, result="result"))
    assert bench.do(request) == []
    assert bench.get("c").runner is None


def test_a_request_that_found_nothing_finds_nothing_again(bench: StoreHarness) -> None:
    """Else a call that comes late leases jobs to a runner that no longer listens."""
    request = Lease("r", "once", plan_slots=0, decode_slots=2)
    assert bench.do(request) == []
    bench.submit("a")
    assert bench.do(request) == []
    assert bench.get("a").runner is None


def test_a_runner_that_is_not_alive_is_leased_nothing(bench: StoreHarness) -> None:
    bench.submit("a")
    assert bench.lease("stranger") == []
    bench.do(KeepAlive("s", ttl=3))
    bench.now += 3.1
    assert bench.lease("s") == []
    bench.do(KeepAlive("s", ttl=3))
    assert ids(bench.lease("s")) == ["a"]


def test_a_job_that_comes_back_stands_where_it_stood(bench: StoreHarness) -> None:
    bench.submit("a", "b", "c")
    attempt = bench.take("a")
    bench.do(Release("a", attempt, lost=True))
    assert bench.positions() == {"a": 1, "b": 2, "c": 3}
    assert ids(bench.lease()) == ["a"]
    assert bench.get("a").attempt == attempt + 1


def test_goodbye_gives_jobs_back_uncounted(bench: StoreHarness) -> None:
    bench.submit("a", "b", "c")
    bench.take("a")
    bench.lease(decode_slots=2)
    assert bench.do(Deregister("r")) is None
    assert bench.do(Deregister("r")) is None
    assert bench.positions() == {"a": 1, "b": 2, "c": 3}
    for job_id in "ab":
        record = bench.get(job_id)
        assert (record.runner, record.attempt, record.starts) == (None, 1, 0)
        assert bench.do(IsOwner(job_id, 1)) is False
    assert bench.get("a").started_at is None
    assert bench.lease() == []  # it has left


def test_a_lapsed_runner_loses_its_jobs(bench: StoreHarness) -> None:
    bench.submit("a", "b", "c")
    bench.do(KeepAlive("s", ttl=3))
    bench.take("a", runner="s")
    bench.lease("s", decode_slots=2)
    bench.now += 3
    assert bench.do(Sweep()) == []
    bench.now += 0.1
    assert bench.do(Sweep()) == ["a", "b"]
    assert bench.do(Sweep()) == []
    assert bench.positions() == {"a": 1, "b": 2, "c": 3}
    assert [bench.get(job_id).starts for job_id in "ab"] == [1, 0]
    bench.do(KeepAlive("s", ttl=3))  # it comes back late; its attempts are over
    for op in (IsOwner("a", 1), Start("a", 1), Finish("a", 1, result="late")):
        assert bench.do(op) is False
    assert ids(bench.lease("r", decode_slots=1)) == ["a"]


def test_keeping_alive_keeps_the_jobs(bench: StoreHarness) -> None:
    bench.submit("a")
    bench.do(KeepAlive("s", ttl=3))
    attempt = bench.take("a", runner="s")
    for _ in range(5):
        bench.now += 2
        bench.do(KeepAlive("s", ttl=3))
        assert bench.do(Sweep()) == []
    assert bench.do(Finish("a", attempt, result="result")) is True


def test_grace_lets_runners_speak_up_after_the_store_was_away(bench: StoreHarness) -> None:
    bench.submit("a")
    bench.do(KeepAlive("s", ttl=3))
    attempt = bench.take("a", runner="s")
    bench.reopen()
    bench.now += 60
    assert bench.batch(ExtendLeases(3), Sweep()) == [None, []]
    bench.now += 2
    bench.do(KeepAlive("s", ttl=3))
    bench.now += 2
    assert bench.do(Sweep()) == []
    assert bench.do(IsOwner("a", attempt)) is True
    bench.now += 2
    assert bench.do(Sweep()) == ["a"]


def test_grace_shortens_no_life(bench: StoreHarness) -> None:
    bench.submit("a")
    bench.do(KeepAlive("s", ttl=100))
    bench.take("a", runner="s")
    bench.do(ExtendLeases(3))
    bench.now += 50
    assert bench.do(Sweep()) == []


def test_a_job_that_lost_its_worker_too_often_is_given_up(bench: StoreHarness) -> None:
    bench.submit("a")
    for attempt in (1, 2, 3):
        assert bench.take("a") == attempt
        bench.now += 1
        assert bench.do(Release("a", attempt, lost=True, max_starts=3)) is True
    ended = bench.get("a")
    assert (ended.status, ended.error_code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert ended.error == "The job's worker was lost 3 times while it ran, so it was given up."
    assert (ended.finished_at, ended.runner, ended.starts) == (bench.now, None, 3)
    assert bench.do(Release("a", 3, lost=True, max_starts=3)) is True  # told twice
    assert bench.get("a") == ended


def test_a_sweep_gives_up_too(bench: StoreHarness) -> None:
    bench.submit("a")
    bench.do(KeepAlive("s", ttl=3))
    bench.take("a", runner="s")
    bench.now += 4
    assert bench.do(Sweep(max_starts=1)) == ["a"]
    ended = bench.get("a")
    assert (ended.status, ended.error_code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert ended.error == "The job's worker was lost once while it ran, so it was given up."


def test_a_worker_that_is_lost_before_it_begins_counts_too(bench: StoreHarness) -> None:
    bench.submit("a", "b")
    bench.do(Release("a", bench.take("a"), lost=True, max_starts=3))
    for starts in (2, 3):
        (record,) = bench.lease()
        release = Release("a", record.attempt, lost=True, max_starts=3)
        assert bench.batch(release, release) == [True, True]
        assert bench.get("a").starts == starts
    ended = bench.get("a")
    assert (ended.status, ended.error_code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert ended.error == (
        "The job's worker was lost 3 times, at last before it had begun, so it was given up."
    )
    assert (ended.finished_at, ended.started_at, ended.runner) == (bench.now, None, None)
    assert bench.positions() == {"b": 1}


def test_only_lost_workers_count(bench: StoreHarness) -> None:
    """Redeploys and scale-downs give a job back in good order; that is no fault of the job's. Nor
    is a runner that dies before an engine began."""
    bench.submit("a")
    for _ in range(5):
        attempt = bench.take("a")
        bench.do(Release("a", attempt, lost=False, max_starts=2))
    for _ in range(5):
        (record,) = bench.lease()
        bench.do(Release("a", record.attempt, lost=False, max_starts=2))
    for number in range(5):
        bench.do(KeepAlive(f"s{number}", ttl=3))
        assert len(bench.lease(f"s{number}")) == 1
        bench.now += 4
        assert bench.do(Sweep(max_starts=2)) == ["a"]
    assert bench.get("a").starts == 0
    bench.do(Release("a", bench.take("a"), lost=True, max_starts=2))
    assert (bench.get("a").status, bench.get("a").starts) == (Status.QUEUED, 1)
    bench.do(Release("a", bench.take("a"), lost=True, max_starts=2))
    assert bench.get("a").error_code is ErrorCode.WORKER_LOST


def test_a_job_that_lost_no_worker_is_not_given_up_though_the_limit_was_lowered(
    bench: StoreHarness,
) -> None:
    bench.submit("a")
    bench.do(Release("a", bench.take("a"), lost=True, max_starts=3))
    (record,) = bench.lease()
    assert bench.do(Release("a", record.attempt, lost=False, max_starts=1)) is True
    assert (bench.get("a").status, bench.get("a").starts) == (Status.QUEUED, 1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_job_is_timed_from_the_start_of_its_attempt(bench: StoreHarness, times: int) -> None:
    bench.submit("a", "b")
    bench.now += 500  # waiting does not count
    attempt = bench.take("a")
    for _ in range(times - 1):
        bench.now += 50  # nor what an attempt took that came to nothing, nor the time after it
        bench.do(Release("a", attempt, lost=True))
        bench.now += 50
        assert bench.do(Sweep(timeout=10)) == []
        attempt = bench.take("a")
    bench.now += 10
    assert bench.do(Sweep(timeout=10)) == []
    bench.now += 0.1
    assert bench.do(Sweep(timeout=10)) == ["a"]
    assert bench.do(Sweep(timeout=10)) == []
    ended = bench.get("a")
    assert (ended.status, ended.error_code) == (Status.FAILED, ErrorCode.TIMEOUT)
    assert ended.error == "The job did not end within 10 seconds of its start."
    assert (ended.finished_at, ended.runner) == (bench.now, None)
    assert bench.positions() == {"b": 1}
