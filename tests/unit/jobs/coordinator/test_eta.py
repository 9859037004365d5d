"""The ETA for clients, by numbers computed by hand and by rules that always hold."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acestep_ray.jobs.coordinator.backlog import BacklogTotals, Throughput, measured
from acestep_ray.jobs.coordinator.eta import WaitEstimates
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.records import BacklogItem, JobRecord, JobTiming, StoreStats
from acestep_ray.replicas.capacity import Capacity
from tests.unit.jobs.specs import job_record

ONE = Capacity(planners=1, decoders=1, plan_slots=2, decode_slots=2, planner_slots={"P": 2})
SPEED = Throughput(job_seconds=30.0, work_per_second=100.0, plan_seconds=12.0)


def unfinished(place: int, work: float, planner: str | None = None, **fields: Any) -> BacklogItem:
    known = BacklogItem(f"job-{place}", place, Status.QUEUED, planner, work, False, "")
    return replace(known, **fields)


def record(place: int, work: float, position: int = 1, planner: str | None = None) -> JobRecord:
    return job_record(
        f"job-{place}",
        place=place,
        position=position,
        needs_plan=planner is not None,
        planner=planner or "",
        work=work,
        plan_pending=planner is not None,
    )


def running(place: int, work: float, **fields: Any) -> BacklogItem:
    return unfinished(place, work, status=Status.RUNNING, leased=True, **fields)


# Without history


@pytest.mark.parametrize(("position", "expected"), [(1, 5.0), (2, 10.0), (5, 25.0)])
def test_without_history_the_contract_gives_five_seconds_a_position(
    position: int, expected: float
) -> None:
    totals = BacklogTotals([running(1, 960), unfinished(2, 960, "P")], Throughput(5.0))
    assert WaitEstimates(totals, ONE).eta_seconds(record(9, 960, position)) == expected


def test_decoders_share_the_wait_and_none_counts_as_one() -> None:
    totals = BacklogTotals([], Throughput(10.0))
    assert WaitEstimates(totals, Capacity(decoders=3)).eta_seconds(record(9, 960, 6)) == 20.0
    assert WaitEstimates(totals, Capacity()).eta_seconds(record(9, 960, 2)) == 20.0


# What is measured


def test_the_pace_is_all_work_over_all_seconds() -> None:
    """Not the mean of the jobs' own throughputs: a long job counts more than a short one."""
    timings = (
        JobTiming(100.0, 1.0, None),
        JobTiming(2900.0, 29.0, 7.0),
        JobTiming(1000.0, 10.0, 9.0),
    )
    stats = StoreStats(0, 0, 0, 0, 0, (10.0, 20.0, 60.0), timings)
    assert measured(stats, 5.0) == Throughput(
        job_seconds=30.0, work_per_second=100.0, plan_seconds=8.0
    )


def test_what_was_not_measured_has_its_default() -> None:
    assert measured(StoreStats(0, 0, 0, 0, 0, ()), 5.0) == Throughput(5.0, None, 0.0)
    unworked = StoreStats(0, 0, 0, 0, 0, (2.0,), (JobTiming(0.0, 0.0, None),))
    assert measured(unworked, 5.0) == Throughput(2.0, None, 0.0)


# With history


def test_the_wait_is_the_work_before_it_and_its_own() -> None:
    totals = BacklogTotals([unfinished(1, 960), unfinished(2, 480), unfinished(3, 2400)], SPEED)
    # (960 + 480 + 2400) / 100
    assert WaitEstimates(totals, ONE).eta_seconds(record(3, 2400)) == pytest.approx(38.4)
    assert WaitEstimates(totals, replace(ONE, decoders=4)).eta_seconds(
        record(3, 2400)
    ) == pytest.approx(9.6)


def test_running_jobs_count_what_is_left_of_them_wherever_they_stood() -> None:
    left = {"job-1": 0.25, "job-7": 0.5}
    backlog = [running(1, 800), unfinished(2, 400), running(7, 600)]
    totals = BacklogTotals(backlog, SPEED, left.__getitem__)
    # (800 × 0.25 + 600 × 0.5 + 400) / 100
    assert WaitEstimates(totals, ONE).eta_seconds(record(2, 400)) == pytest.approx(9.0)


def test_a_job_that_does_not_end_in_time_counts_what_little_is_left() -> None:
    totals = BacklogTotals([running(1, 800), unfinished(2, 400)], SPEED, lambda _: 0.0)
    assert WaitEstimates(totals, ONE).eta_seconds(record(2, 400)) == pytest.approx(4.0)


def test_a_job_that_came_after_the_totals_waits_behind_all_in_them() -> None:
    totals = BacklogTotals([unfinished(1, 960), unfinished(2, 480)], SPEED)
    assert WaitEstimates(totals, ONE).eta_seconds(record(9, 100)) == pytest.approx(15.4)


def test_a_job_of_unknown_work_counts_as_one_of_usual_length() -> None:
    totals = BacklogTotals([unfinished(1, 0.0), unfinished(2, 480)], SPEED)
    assert WaitEstimates(totals, ONE).eta_seconds(record(2, 480)) == pytest.approx(34.8)


def test_the_jobs_and_decoders_of_every_cluster_count() -> None:
    backlog = [running(1, 600, cluster="b"), running(2, 800, cluster="a"), unfinished(3, 200)]
    waits = WaitEstimates(BacklogTotals(backlog, SPEED), replace(ONE, decoders=2))
    assert waits.eta_seconds(record(3, 200)) == pytest.approx(8.0)


# Plans


def test_its_decoding_begins_when_its_plan_is_made() -> None:
    totals = BacklogTotals([unfinished(4, 400, "P")], SPEED)
    assert WaitEstimates(totals, ONE).eta_seconds(record(4, 400, planner="P")) == pytest.approx(
        12 + 4
    )


def test_plans_before_it_share_the_planners_slots() -> None:
    backlog = [unfinished(place, 100, "P") for place in range(1, 6)]
    totals = BacklogTotals(backlog, SPEED)
    # Five plans of 12 s, two at a time; meanwhile the four decodes before it, 1 s each, are done.
    assert WaitEstimates(totals, ONE).eta_seconds(record(5, 100, planner="P")) == pytest.approx(
        12 * 5 / 2 + 1
    )


def test_each_take_that_has_its_own_codes_is_a_plan() -> None:
    """A planner with two slots needs two rounds for a song of four takes, and then one for two."""
    jobs = [unfinished(1, 10, "P", plans=4), unfinished(2, 10, "P", plans=2)]
    waits = WaitEstimates(BacklogTotals(jobs, SPEED), ONE)
    assert waits.eta_seconds(record(1, 10, planner="P")) == pytest.approx(24 + 0.1)
    assert waits.eta_seconds(record(2, 10, planner="P")) == pytest.approx(36 + 0.1)
    # One that came after the totals: how many it has is not known yet.
    assert waits.eta_seconds(record(9, 10, planner="P")) == pytest.approx(42 + 0.1)


def test_the_decoders_wait_for_a_plan_and_who_is_behind_waits_with_them() -> None:
    totals = BacklogTotals([unfinished(1, 5000, "P"), unfinished(2, 100, "P")], SPEED)
    waits = WaitEstimates(totals, ONE)
    assert waits.eta_seconds(record(1, 5000, planner="P")) == pytest.approx(12 + 50)
    assert waits.eta_seconds(record(2, 100, planner="P")) == pytest.approx(12 + 50 + 1)


def test_a_plan_is_made_while_the_decoders_are_busy() -> None:
    totals = BacklogTotals([running(1, 9000), unfinished(2, 100, "P")], SPEED)
    assert WaitEstimates(totals, ONE).eta_seconds(record(2, 100, planner="P")) == pytest.approx(
        90 + 1
    )


def test_other_planners_and_jobs_without_one_are_not_before_its_plan() -> None:
    backlog = [unfinished(1, 10, "Q"), unfinished(2, 10), unfinished(3, 10, "P")]
    totals = BacklogTotals(backlog, SPEED)
    assert WaitEstimates(totals, ONE).eta_seconds(record(3, 10, planner="P")) == pytest.approx(
        12 + 0.1
    )
    assert WaitEstimates(totals, ONE).eta_seconds(record(2, 10)) == pytest.approx(0.2)


# Always

jobs = st.lists(
    st.tuples(
        st.floats(0, 1e5),
        st.sampled_from([None, "P"]),
        st.sampled_from(["queued", "leased", "running"]),
        st.floats(0, 1),
        st.integers(1, 8),
    ),
    min_size=1,
    max_size=30,
)
speeds = st.builds(
    Throughput,
    st.floats(0.1, 100),
    st.one_of(st.none(), st.floats(0.1, 1e4)),
    st.floats(0, 100),
)
capacities = st.builds(
    lambda decoders, slots: Capacity(decoders=decoders, planner_slots={"P": slots}),
    st.integers(0, 48),
    st.integers(0, 64),
)


@given(jobs, speeds, capacities)
def test_who_stands_further_back_never_waits_less(
    jobs: list[tuple[float, str | None, str, float, int]], speed: Throughput, capacity: Capacity
) -> None:
    backlog, left, waits = [], {}, list[tuple[str | None, JobRecord]]()
    for place, (work, planner, state, share, plans) in enumerate(jobs, start=1):
        job = unfinished(place, work, planner, leased=state != "queued", plans=plans)
        if state == "running":
            job = replace(job, status=Status.RUNNING)
        else:
            waits.append((planner, record(place, work, len(waits) + 1, planner)))
        backlog.append(job)
        left[job.job_id] = share
    reported = WaitEstimates(BacklogTotals(backlog, speed, left.__getitem__), capacity)
    for kind in (None, "P"):
        etas = [reported.eta_seconds(r) for planner, r in waits if planner == kind]
        assert all(eta >= 0 for eta in etas)
        # Sums of floats may differ in their last digits.
        assert all(later >= earlier * (1 - 1e-9) for earlier, later in pairwise(etas))


# Several decoders

TWO = ("fast", "slow")
BY_NAME = Throughput(30.0, 100.0, 12.0, by_decoder={"fast": 200.0, "slow": 50.0})


def for_decoder(decoder: str, place: int, work: float = 400) -> JobRecord:
    return replace(record(place, work), decoder=decoder)


def test_each_decoder_has_its_own_jobs_replicas_and_pace() -> None:
    backlog = [
        running(1, 1000, decoder="slow"),
        unfinished(2, 400, decoder="slow"),
        unfinished(3, 400, decoder="fast"),
        unfinished(4, 400, decoder="slow"),
    ]
    totals = BacklogTotals(backlog, BY_NAME, decoders=TWO)
    capacity = Capacity(decoders=3, decoder_replicas={"fast": 1, "slow": 2})
    waits = WaitEstimates(totals, capacity)
    assert waits.eta_seconds(for_decoder("fast", 3)) == 400 / 200
    assert waits.eta_seconds(for_decoder("slow", 2)) == (1000 + 400) / 50 / 2
    assert waits.eta_seconds(for_decoder("slow", 4)) == (1000 + 400 + 400) / 50 / 2
    loads = {name: (queue.decodes, queue.seconds) for name, queue in totals.decoders.items()}
    assert loads == {"fast": (0, 2.0), "slow": (1, 36.0)}
    assert (totals.decodes, totals.decode_seconds) == (1, 38.0)


def test_jobs_of_a_decoder_that_is_gone_count_for_the_first() -> None:
    totals = BacklogTotals([unfinished(1, 400, decoder="gone")], BY_NAME, decoders=TWO)
    assert totals.decoders["fast"].seconds == 400 / 100  # its pace is not known
    waits = WaitEstimates(totals, Capacity(decoders=1, decoder_replicas={"slow": 1}))
    assert waits.eta_seconds(for_decoder("gone", 2)) == 400 / 100 * 2


def test_plans_for_one_decoder_do_not_delay_jobs_of_another() -> None:
    backlog = [unfinished(n, 400, "P", decoder="slow") for n in range(1, 9)]
    totals = BacklogTotals(backlog, BY_NAME, decoders=TWO)
    capacity = replace(ONE, decoders=2, decoder_replicas={"fast": 1, "slow": 1})
    waits = WaitEstimates(totals, capacity)
    assert waits.eta_seconds(for_decoder("fast", 9)) == 2.0
    last = replace(record(8, 400, planner="P"), decoder="slow")
    assert waits.eta_seconds(last) >= 8 * 400 / 50


def test_the_pace_of_each_decoder_is_measured() -> None:
    timings = (
        JobTiming(100.0, 1.0, None, "fast"),
        JobTiming(100.0, 4.0, None, "slow"),
        JobTiming(50.0, 0.0, None, "new"),
    )
    found = measured(StoreStats(0, 0, 0, 0, 0, (1.0,), timings), 5.0)
    assert found.by_decoder == {"fast": 100.0, "slow": 25.0}
    assert found.device_seconds(100.0, "slow") == 4.0
    assert found.device_seconds(100.0, "new") == 100.0 / (250 / 5)
