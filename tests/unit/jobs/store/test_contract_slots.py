"""Contract: for which jobs there are slots, by planner and by decoder."""

from collections.abc import Sequence

from acestep_ray.jobs.store.operations import (
    Backlog,
    Cancel,
    Finish,
    Lease,
    Release,
    SavePlan,
    Submit,
)
from acestep_ray.jobs.store.records import JobRecord
from tests.unit.jobs.store.contract import StoreHarness


def ids(records: Sequence[JobRecord]) -> list[str]:
    return [record.job_id for record in records]


def test_a_job_whose_slots_are_taken_is_passed_over_for_the_other_kind_only(
    harness: StoreHarness,
) -> None:
    harness.submit("p1", "p2", needs_plan=True)
    harness.submit("d1", "d2")
    assert ids(harness.lease(plan_slots=1, decode_slots=1)) == ["p1", "d1"]
    assert harness.lease(plan_slots=1, decode_slots=1) == []
    assert ids(harness.lease(plan_slots=1, decode_slots=2)) == ["d2"]
    assert ids(harness.lease(plan_slots=2, decode_slots=2)) == ["p2"]


def test_jobs_that_go_on_from_their_plan_do_not_keep_others_from_the_decoder(
    harness: StoreHarness,
) -> None:
    """What would break for whom: jobs that need no plan, or come back from a decoder that died,
    would wait until nobody wants a plan any more."""
    harness.submit("p1", "p2", needs_plan=True)
    harness.submit("d1", "d2")
    at_decoder: list[str] = []

    def lease() -> list[str]:
        got = harness.lease(plan_slots=2, decode_slots=1)
        for record in got:
            if record.needs_plan:
                harness.do(SavePlan(record.job_id, record.attempt, "plan"))
        at_decoder.extend(ids(got))
        return ids(got)

    leased = lease()
    assert leased == ["p1", "p2", "d1"]
    for number in range(3, 20):  # there is always another song to plan
        harness.submit(f"p{number}", needs_plan=True)
        record = harness.get(at_decoder.pop(0))
        harness.do(Finish(record.job_id, record.attempt, result="{}"))
        leased += lease()
        if "d2" in leased:
            break
    assert leased[3] == "d2"


def test_a_job_that_comes_back_from_a_decoder_is_before_later_plans(harness: StoreHarness) -> None:
    harness.submit("p1", "p2", "p3", needs_plan=True)
    assert ids(harness.lease(plan_slots=1, decode_slots=1)) == ["p1"]
    harness.do(SavePlan("p1", 1, "plan"))
    harness.do(Release("p1", 1, lost=True, max_starts=9))
    assert ids(harness.lease(plan_slots=1, decode_slots=1)) == ["p1", "p2"]
    # Without a decoder nothing waits for longer because a plan is made.
    harness.do(Release("p1", 2, lost=True, max_starts=9))
    harness.do(Release("p2", 1, lost=False))
    assert ids(harness.lease(plan_slots=1, decode_slots=0)) == ["p2"]


def test_a_job_that_needs_a_planner_and_a_decoder_gets_both_in_the_end(
    harness: StoreHarness,
) -> None:
    """While it waits for its planner, others may not take its place at the decoder for ever."""
    slots = {"p": 1, "q": 1}

    def lease(number: int) -> list[str]:
        return ids(
            harness.do(
                Lease("r", f"{number}", 2, 1, planner_slots=slots, decoder_slots={"a": 1, "b": 9})
            )
        )

    def submit(job_id: str, planner: str, decoder: str) -> None:
        harness.do(Submit(job_id, "{}", True, planner=planner, decoder=decoder))

    submit("busy", "p", "b")
    assert lease(1) == ["busy"]
    for n in range(3):
        submit(f"a{n}", "q", "a")
    assert lease(2) == ["a0"]
    harness.do(SavePlan("a0", 1, "plan"))
    submit("first", "p", "a")
    assert lease(3) == ["a1"]
    harness.do(SavePlan("a1", 1, "plan"))
    submit("later", "q", "a")
    assert lease(4) == ["a2"]
    harness.do(SavePlan("a2", 1, "plan"))
    harness.do(Finish("a0", 1, result="{}"))
    assert lease(5) == [], "one place at decoder a is free: it is for the first"
    harness.do(SavePlan("busy", 1, "plan"))
    assert lease(6) == ["first"]


def test_no_plan_is_made_for_a_decoder_without_replicas_among_several(
    harness: StoreHarness,
) -> None:
    """It would be running, and its time would pass, while its decoder cannot start."""
    harness.do(Submit("x", "{}", True, decoder="a"))
    harness.do(Submit("y", "{}", True))
    names = {"a": 0, "b": 1}
    assert ids(harness.do(Lease("r", "1", 4, 1, decoder_slots=names))) == ["y"]


def test_each_planner_has_slots_of_its_own(harness: StoreHarness) -> None:
    for job_id, planner in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b"), ("c1", "c")):
        harness.do(Submit(job_id, "spec", needs_plan=True, planner=planner))
    slots = {"a": 1, "b": 1}
    leased = harness.do(Lease("r", "1", plan_slots=2, decode_slots=9, planner_slots=slots))
    assert ids(leased) == ["a1", "b1"]  # a2 waits for a's slot, and is passed over
    # c is not named, so what is left of all slots belongs to it.
    leased = harness.do(Lease("r", "2", plan_slots=4, decode_slots=9, planner_slots=slots))
    assert ids(leased) == ["c1"]
    harness.do(SavePlan("a1", 1, "plan"))
    leased = harness.do(Lease("r", "3", plan_slots=3, decode_slots=9, planner_slots=slots))
    assert ids(leased) == ["a2"]


def test_each_decoder_has_slots_of_its_own(harness: StoreHarness) -> None:
    for job_id, decoder in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("c1", "c")):
        harness.do(Submit(job_id, "spec", needs_plan=False, decoder=decoder))
    slots = {"a": 1, "b": 0}
    leased = harness.do(Lease("r", "1", plan_slots=1, decode_slots=1, decoder_slots=slots))
    assert ids(leased) == ["a1", "c1"]  # b has no replica; c is not named
    assert [leased[0].decoder, leased[1].decoder] == ["a", "c"]
    slots = {"a": 1, "b": 2, "c": 1}
    leased = harness.do(Lease("r", "2", plan_slots=1, decode_slots=4, decoder_slots=slots))
    assert ids(leased) == ["b1"]
    harness.do(Release("a1", 1, lost=False))
    leased = harness.do(Lease("r", "3", plan_slots=1, decode_slots=4, decoder_slots=slots))
    assert ids(leased) == ["a1"]  # back at its place, before a2
    found = {item.job_id: item.decoder for item in harness.do(Backlog())}
    assert found == {"a1": "a", "a2": "a", "b1": "b", "c1": "c"}


def test_jobs_that_wait_for_one_decoder_do_not_keep_plans_for_another_waiting(
    harness: StoreHarness,
) -> None:
    for number, decoder in enumerate("aaab"):
        harness.do(Submit(f"{decoder}{number}", "spec", needs_plan=True, decoder=decoder))
    slots = {"a": 1, "b": 1}
    for number in range(2):  # each gets its plan, and the second waits for a decode slot
        (record,) = harness.do(
            Lease("r", f"{number}", plan_slots=1, decode_slots=2, decoder_slots=slots)
        )
        assert record.job_id == f"a{number}"
        harness.do(SavePlan(record.job_id, 1, "plan"))
    leased = harness.do(Lease("r", "3", plan_slots=1, decode_slots=2, decoder_slots=slots))
    assert ids(leased) == ["b3"]  # a2 would only wait, too


def test_many_plans_of_one_planner_leave_the_others_their_slots(harness: StoreHarness) -> None:
    for number, (planner, plans) in enumerate((("a", 3), ("a", 2), ("b", 2), ("a", 1), ("b", 1))):
        harness.do(Submit(f"{planner}{number}", "{}", True, planner=planner, plans=plans))
    slots = {"a": 4, "b": 3}
    leased = harness.do(Lease("r", "1", plan_slots=7, decode_slots=9, planner_slots=slots))
    assert ids(leased) == ["a0", "b2", "b4"]
    harness.do(SavePlan("a0", 1, "plan"))
    leased = harness.do(Lease("r", "2", plan_slots=7, decode_slots=9, planner_slots=slots))
    assert ids(leased) == ["a1", "a3"]


def test_what_is_handed_out_counts_against_the_sum_of_slots_in_the_order_of_places(
    harness: StoreHarness,
) -> None:
    harness.submit("a", "b", needs_plan=True)
    for record in harness.lease(plan_slots=2):
        harness.do(SavePlan(record.job_id, record.attempt, "plan"))
    harness.do(Cancel("b"))
    harness.submit("d")
    harness.submit("p", "q", needs_plan=True)
    # One held, of 2 + 2: room for d, and then for both plans.
    assert ids(harness.lease(plan_slots=2, decode_slots=2)) == ["d", "p", "q"]
