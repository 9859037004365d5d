"""Contract: which runner gets which job, and what happens to jobs whose runner is gone."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.operations import (
    Backlog,
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
    Sweep,
)
from acestep_ray.jobs.store.records import JobRecord
from tests.unit.jobs.store.contract import StoreHarness


def ids(records: Sequence[JobRecord]) -> list[str]:
    return [record.job_id for record in records]


def test_jobs_are_leased_in_order_and_stay_queued_until_they_start(harness: StoreHarness) -> None:
    harness.submit("a", "b", "c")
    leased = harness.lease(decode_slots=2)
    assert ids(leased) == ["a", "b"]
    assert leased == [harness.get("a"), harness.get("b")]
    assert [(r.attempt, r.runner, r.status) for r in leased] == [(1, "r", Status.QUEUED)] * 2
    assert harness.positions() == {"a": 1, "b": 2, "c": 3}


def test_slots_are_shared_by_all_runners(harness: StoreHarness) -> None:
    harness.submit("a", "b", "c")
    harness.do(KeepAlive("s", ttl=10))
    assert ids(harness.lease("r", decode_slots=2)) == ["a", "b"]
    assert harness.lease("s", decode_slots=2) == []
    harness.do(Cancel("b"))
    assert ids(harness.lease("s", decode_slots=2)) == ["c"]


def test_each_cluster_has_slots_of_its_own(harness: StoreHarness) -> None:
    harness.submit("a", "b", "c")
    harness.do(KeepAlive("s", ttl=10))
    east = Lease("r", "1", plan_slots=0, decode_slots=1, cluster="east")
    west = Lease("s", "1", plan_slots=0, decode_slots=1, cluster="west")
    assert ids(harness.do(east)) == ["a"]
    assert ids(harness.do(west)) == ["b"]
    assert harness.do(replace(east, request_id="2")) == []
    harness.do(Deregister("s"))
    assert harness.do(replace(east, request_id="3")) == []
    harness.do(Release("a", 1, lost=False))
    assert ids(harness.do(replace(east, request_id="4"))) == ["a"]


def test_a_planned_job_takes_a_decode_slot(harness: StoreHarness) -> None:
    harness.submit("p1", "p2", needs_plan=True)
    harness.submit("d")
    (p1,) = harness.lease(plan_slots=1, decode_slots=0)
    harness.do(SavePlan("p1", p1.attempt, "plan"))
    # p1 holds the decode slot, so d waits; the plan slot is free for p2.
    assert ids(harness.lease(plan_slots=1, decode_slots=1)) == ["p2"]


def test_no_plan_is_begun_that_could_only_wait(harness: StoreHarness) -> None:
    harness.submit("p1", "p2", "p3", needs_plan=True)
    for record in harness.lease(plan_slots=2, decode_slots=0):
        harness.do(SavePlan(record.job_id, record.attempt, "plan"))
    # Two planned jobs, one decoder: with one plan slot, all that both can hold is taken.
    assert harness.lease(plan_slots=1, decode_slots=1) == []
    assert ids(harness.lease(plan_slots=2, decode_slots=1)) == ["p3"]


def test_a_job_takes_a_slot_for_each_of_its_plans(harness: StoreHarness) -> None:
    """A song of four takes has four plans at a time: more jobs would only wait in the engine."""
    harness.submit("four", needs_plan=True, plans=4)
    harness.submit("two", "one", needs_plan=True, plans=2)
    assert {item.job_id: item.plans for item in harness.do(Backlog())} == {
        "four": 4, "two": 2, "one": 2,
    }  # fmt: skip
    assert ids(harness.lease(plan_slots=5, decode_slots=9)) == ["four"]
    assert harness.lease(plan_slots=5, decode_slots=9) == []
    harness.reopen()
    assert ids(harness.lease(plan_slots=6, decode_slots=9)) == ["two"]
    harness.do(SavePlan("four", 1, "plan"))
    assert ids(harness.lease(plan_slots=4, decode_slots=9)) == ["one"]


def test_a_job_with_many_plans_is_not_overtaken_by_small_ones(harness: StoreHarness) -> None:
    """Otherwise it would wait for as long as small ones come."""
    harness.submit("small", needs_plan=True)
    harness.submit("large", needs_plan=True, plans=4)
    harness.submit("later", needs_plan=True)
    harness.submit("unplanned")
    assert ids(harness.lease(plan_slots=4, decode_slots=1)) == ["small", "unplanned"]
    harness.do(Cancel("unplanned"))
    assert harness.lease(plan_slots=4, decode_slots=1) == []
    harness.do(SavePlan("small", 1, "plan"))
    assert ids(harness.lease(plan_slots=4, decode_slots=1)) == ["large"]


def test_a_job_with_more_plans_than_there_are_slots_takes_them_all(harness: StoreHarness) -> None:
    """A planner that was made smaller: its queue would stand still for ever."""
    harness.submit("one", needs_plan=True)
    harness.submit("eight", needs_plan=True, plans=8)
    harness.submit("later", needs_plan=True)
    assert ids(harness.lease(plan_slots=4, decode_slots=9)) == ["one"]
    harness.do(Cancel("one"))
    assert harness.lease(plan_slots=0, decode_slots=9) == []
    assert ids(harness.lease(plan_slots=4, decode_slots=9)) == ["eight"]
    assert harness.lease(plan_slots=4, decode_slots=9) == []
    harness.do(Release("eight", 1, lost=False))
    assert ids(harness.lease(plan_slots=9, decode_slots=9)) == ["eight", "later"]


def test_a_repeated_request_is_answered_with_the_same_jobs(harness: StoreHarness) -> None:
    harness.submit("a", "b", "c")
    request = Lease("r", "once", plan_slots=0, decode_slots=2)
    first = harness.do(request)
    assert harness.do(request) == first
    harness.reopen()
    assert harness.do(request) == first
    harness.do(Cancel("a"))
    harness.do(Start("b", 1))
    assert harness.do(request) == [harness.get("b")]
    harness.do(Finish("b", 1, result="result"))
    assert harness.do(request) == []
    assert harness.get("c").runner is None


def test_a_request_that_found_nothing_finds_nothing_again(harness: StoreHarness) -> None:
    """Otherwise a late call leases jobs to a runner that no longer listens."""
    request = Lease("r", "once", plan_slots=0, decode_slots=2)
    assert harness.do(request) == []
    harness.submit("a")
    assert harness.do(request) == []
    assert harness.get("a").runner is None


def test_a_runner_that_is_not_alive_is_leased_nothing(harness: StoreHarness) -> None:
    harness.submit("a")
    assert harness.lease("stranger") == []
    harness.do(KeepAlive("s", ttl=3))
    harness.now += 3.1
    assert harness.lease("s") == []
    harness.do(KeepAlive("s", ttl=3))
    assert ids(harness.lease("s")) == ["a"]


def test_a_job_that_comes_back_stands_where_it_stood(harness: StoreHarness) -> None:
    harness.submit("a", "b", "c")
    attempt = harness.take("a")
    harness.do(Release("a", attempt, lost=True))
    assert harness.positions() == {"a": 1, "b": 2, "c": 3}
    assert ids(harness.lease()) == ["a"]
    assert harness.get("a").attempt == attempt + 1


def test_a_runner_that_deregisters_gives_its_jobs_back_uncounted(harness: StoreHarness) -> None:
    harness.submit("a", "b", "c")
    harness.take("a")
    harness.lease(decode_slots=2)
    assert harness.do(Deregister("r")) is None
    assert harness.do(Deregister("r")) is None
    assert harness.positions() == {"a": 1, "b": 2, "c": 3}
    for job_id in "ab":
        record = harness.get(job_id)
        assert (record.runner, record.attempt, record.starts) == (None, 1, 0)
        assert harness.do(IsOwner(job_id, 1)) is False
    assert harness.get("a").started_at is None
    assert harness.lease() == []  # it has deregistered


def test_a_lapsed_runner_loses_its_jobs(harness: StoreHarness) -> None:
    harness.submit("a", "b", "c")
    harness.do(KeepAlive("s", ttl=3))
    harness.take("a", runner="s")
    harness.lease("s", decode_slots=2)
    harness.now += 3
    assert harness.do(Sweep()) == []
    harness.now += 0.1
    assert harness.do(Sweep()) == ["a", "b"]
    assert harness.do(Sweep()) == []
    assert harness.positions() == {"a": 1, "b": 2, "c": 3}
    assert [harness.get(job_id).starts for job_id in "ab"] == [1, 0]
    harness.do(KeepAlive("s", ttl=3))  # it comes back late; its attempts have ended
    for op in (IsOwner("a", 1), Start("a", 1), Finish("a", 1, result="late")):
        assert harness.do(op) is False
    assert ids(harness.lease("r", decode_slots=1)) == ["a"]


def test_keeping_alive_keeps_the_jobs(harness: StoreHarness) -> None:
    harness.submit("a")
    harness.do(KeepAlive("s", ttl=3))
    attempt = harness.take("a", runner="s")
    for _ in range(5):
        harness.now += 2
        harness.do(KeepAlive("s", ttl=3))
        assert harness.do(Sweep()) == []
    assert harness.do(Finish("a", attempt, result="result")) is True


def test_grace_lets_runners_speak_up_after_the_store_was_away(harness: StoreHarness) -> None:
    harness.submit("a")
    harness.do(KeepAlive("s", ttl=3))
    attempt = harness.take("a", runner="s")
    harness.reopen()
    harness.now += 60
    assert harness.batch(ExtendLeases(3), Sweep()) == [None, []]
    harness.now += 2
    harness.do(KeepAlive("s", ttl=3))
    harness.now += 2
    assert harness.do(Sweep()) == []
    assert harness.do(IsOwner("a", attempt)) is True
    harness.now += 2
    assert harness.do(Sweep()) == ["a"]


def test_grace_shortens_no_life(harness: StoreHarness) -> None:
    harness.submit("a")
    harness.do(KeepAlive("s", ttl=100))
    harness.take("a", runner="s")
    harness.do(ExtendLeases(3))
    harness.now += 50
    assert harness.do(Sweep()) == []


def test_a_job_that_lost_its_worker_too_often_is_given_up(harness: StoreHarness) -> None:
    harness.submit("a")
    for attempt in (1, 2, 3):
        assert harness.take("a") == attempt
        harness.now += 1
        assert harness.do(Release("a", attempt, lost=True, max_starts=3)) is True
    ended = harness.get("a")
    assert (ended.status, ended.error_code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert ended.error == "The job's worker was lost 3 times while it ran, so it was given up."
    assert (ended.finished_at, ended.runner, ended.starts) == (harness.now, None, 3)
    assert harness.do(Release("a", 3, lost=True, max_starts=3)) is True  # sent twice
    assert harness.get("a") == ended


def test_a_sweep_gives_up_too(harness: StoreHarness) -> None:
    harness.submit("a")
    harness.do(KeepAlive("s", ttl=3))
    harness.take("a", runner="s")
    harness.now += 4
    assert harness.do(Sweep(max_starts=1)) == ["a"]
    ended = harness.get("a")
    assert (ended.status, ended.error_code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert ended.error == "The job's worker was lost once while it ran, so it was given up."


def test_a_worker_that_is_lost_before_it_begins_counts_too(harness: StoreHarness) -> None:
    harness.submit("a", "b")
    harness.do(Release("a", harness.take("a"), lost=True, max_starts=3))
    for starts in (2, 3):
        (record,) = harness.lease()
        release = Release("a", record.attempt, lost=True, max_starts=3)
        assert harness.batch(release, release) == [True, True]
        assert harness.get("a").starts == starts
    ended = harness.get("a")
    assert (ended.status, ended.error_code) == (Status.FAILED, ErrorCode.WORKER_LOST)
    assert ended.error == (
        "The job's worker was lost 3 times, at last before it had begun, so it was given up."
    )
    assert (ended.finished_at, ended.started_at, ended.runner) == (harness.now, None, None)
    assert harness.positions() == {"b": 1}


def test_only_lost_workers_count(harness: StoreHarness) -> None:
    """Redeploys and scale-downs return a job in order; that is not the job's fault. The same holds
    if a runner dies before an engine began."""
    harness.submit("a")
    for _ in range(5):
        attempt = harness.take("a")
        harness.do(Release("a", attempt, lost=False, max_starts=2))
    for _ in range(5):
        (record,) = harness.lease()
        harness.do(Release("a", record.attempt, lost=False, max_starts=2))
    for number in range(5):
        harness.do(KeepAlive(f"s{number}", ttl=3))
        assert len(harness.lease(f"s{number}")) == 1
        harness.now += 4
        assert harness.do(Sweep(max_starts=2)) == ["a"]
    assert harness.get("a").starts == 0
    harness.do(Release("a", harness.take("a"), lost=True, max_starts=2))
    assert (harness.get("a").status, harness.get("a").starts) == (Status.QUEUED, 1)
    harness.do(Release("a", harness.take("a"), lost=True, max_starts=2))
    assert harness.get("a").error_code is ErrorCode.WORKER_LOST


def test_a_job_that_lost_no_worker_is_not_given_up_though_the_limit_was_lowered(
    harness: StoreHarness,
) -> None:
    harness.submit("a")
    harness.do(Release("a", harness.take("a"), lost=True, max_starts=3))
    (record,) = harness.lease()
    assert harness.do(Release("a", record.attempt, lost=False, max_starts=1)) is True
    assert (harness.get("a").status, harness.get("a").starts) == (Status.QUEUED, 1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_job_is_timed_from_the_start_of_its_attempt(harness: StoreHarness, times: int) -> None:
    harness.submit("a", "b")
    harness.now += 500  # waiting does not count
    attempt = harness.take("a")
    for _ in range(times - 1):
        harness.now += 50  # nor does a lost attempt, nor the time after it
        harness.do(Release("a", attempt, lost=True))
        harness.now += 50
        assert harness.do(Sweep(timeout=10)) == []
        attempt = harness.take("a")
    harness.now += 10
    assert harness.do(Sweep(timeout=10)) == []
    harness.now += 0.1
    assert harness.do(Sweep(timeout=10)) == ["a"]
    assert harness.do(Sweep(timeout=10)) == []
    ended = harness.get("a")
    assert (ended.status, ended.error_code) == (Status.FAILED, ErrorCode.TIMEOUT)
    assert ended.error == "The job did not end within 10 seconds of its start."
    assert (ended.finished_at, ended.runner) == (harness.now, None)
    assert harness.positions() == {"b": 1}
