"""How many replicas the waiting work needs."""

from statistics import mean

import pytest

from acestep_ray.jobs.coordinator.backlog import BacklogTotals, Throughput
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.records import BacklogItem
from acestep_ray.replicas.autoscaling import (
    AutoscalingLoad,
    DecoderLoad,
    decoder_replicas,
    planner_replicas,
)


def test_no_work_is_worth_no_replica() -> None:
    assert planner_replicas(AutoscalingLoad(slots={"P": 4}), "P") == 0
    assert decoder_replicas(AutoscalingLoad(slots={"Decoder": 2}), "Decoder", 60) == 0


@pytest.mark.parametrize(("plans", "replicas"), [(1, 1), (4, 1), (5, 2), (17, 5)])
def test_planners_hold_every_plan_at_once(plans: int, replicas: int) -> None:
    load = AutoscalingLoad(plans={"P": plans, "Q": 99}, slots={"P": 4, "Q": 1})
    assert planner_replicas(load, "P") == replicas


def test_a_planner_that_was_never_seen_gets_one_replica() -> None:
    """It then reports how many plans it makes at a time."""
    assert planner_replicas(AutoscalingLoad(plans={"P": 40}), "P") == 1


@pytest.mark.parametrize(("plans", "waiting", "replicas"), [(0, 1, 1), (0, 9, 3), (9, 2, 3)])
def test_calls_that_wait_for_a_replica_count(plans: int, waiting: int, replicas: int) -> None:
    """Requests for a text at once are not in the store; plans that wait there are in both."""
    demand = AutoscalingLoad(plans={"P": plans}, slots={"P": 4})
    assert planner_replicas(demand, "P", waiting) == replicas


@pytest.mark.parametrize(("seconds", "replicas"), [(0.001, 1), (60, 1), (61, 2), (600, 10)])
def test_decoders_do_what_waits_in_the_target_time(seconds: float, replicas: int) -> None:
    load = AutoscalingLoad(decode_seconds=seconds, slots={"Decoder": 2})
    assert decoder_replicas(load, "Decoder", 60) == replicas


def test_a_decoder_that_was_never_seen_gets_one_replica_even_without_work() -> None:
    """Otherwise what it serves is unknown, the service is never ready, and no work comes."""
    assert decoder_replicas(AutoscalingLoad(), "Decoder", 60) == 1
    assert decoder_replicas(AutoscalingLoad(decodes=9, decode_seconds=90.0), "Decoder", 60) == 2


def test_decoders_are_never_fewer_than_hold_the_jobs_in_hand() -> None:
    """And no more: a decoder takes a second job while it stores the first, and each new replica
    would otherwise get jobs that cause the next one."""
    load = AutoscalingLoad(
        decodes=6, decode_seconds=0.5, slots={"Decoder": 2}, replicas={"Decoder": 3}
    )
    assert decoder_replicas(load, "Decoder", 60) == 3


@pytest.mark.parametrize("held", [(8, 2, 2), (2, 2), (16,), (8, 8, 2, 2, 2)])
def test_replicas_that_hold_different_numbers_are_all_needed_while_they_are_full(
    held: tuple[int, ...],
) -> None:
    load = AutoscalingLoad(
        decodes=sum(held), slots={"Decoder": mean(held)}, replicas={"Decoder": len(held)}
    )
    assert decoder_replicas(load, "Decoder", 60) == len(held)


@pytest.mark.parametrize("live", [0, 1, 2])
def test_jobs_that_were_given_before_it_took_fewer_start_no_decoder(live: int) -> None:
    load = AutoscalingLoad(
        decodes=16, decode_seconds=0.0, slots={"Decoder": 2}, replicas={"Decoder": live}
    )
    assert decoder_replicas(load, "Decoder", 60) == max(1, live)


def test_a_load_of_an_earlier_job_store_actor_lacks_the_number_of_replicas() -> None:
    load = AutoscalingLoad(decodes=6, slots={"Decoder": 2})
    del load.__dict__["replicas"]  # as it was pickled
    assert decoder_replicas(load, "Decoder", 60) == 3


def test_the_load_comes_from_the_totals() -> None:
    def job(place: int, planner: str | None, **fields: object) -> BacklogItem:
        known = {"status": Status.QUEUED, "work": 200.0, "leased": False, "cluster": ""} | fields
        return BacklogItem(f"{place}", place, planner=planner, **known)  # type: ignore[arg-type]

    backlog = [
        job(1, None, status=Status.RUNNING, leased=True, cluster="a"),  # half done
        job(2, None, status=Status.RUNNING, leased=True, cluster="b"),
        job(3, "P", status=Status.RUNNING, leased=True, cluster="a"),
        job(4, None, leased=True, cluster="a"),
        job(5, "P", plans=4),
        job(6, "Q"),
    ]
    left = {"1": 0.5, "3": 1.0}
    totals = BacklogTotals(
        backlog, Throughput(5.0, work_per_second=10.0), left.__getitem__, cluster="a"
    )
    assert totals.planned_places == {"P": [3, 5], "Q": [6]}
    assert totals.plans == {"P": 5, "Q": 1}
    assert totals.decodes == 2
    assert totals.decode_seconds == pytest.approx(10 + 20 + 20 + 20 + 20)


def test_before_anything_was_measured_each_job_counts_as_a_usual_one() -> None:
    jobs = [
        BacklogItem(f"{place}", place, Status.QUEUED, None, 12_345.0, False, "")
        for place in range(30)
    ]
    totals = BacklogTotals(jobs, Throughput(5.0))
    load = AutoscalingLoad(decode_seconds=totals.decode_seconds)
    assert decoder_replicas(load, "Decoder", 60) == 3


def test_each_decoder_follows_its_own_work() -> None:
    load = AutoscalingLoad(
        decodes=9,
        decode_seconds=600.0,
        slots={"Decoder-a": 2, "Decoder-b": 2},
        replicas={"Decoder-a": 5, "Decoder-b": 1},
        decoders={"Decoder-a": DecoderLoad(9, 600.0), "Decoder-b": DecoderLoad()},
    )
    assert decoder_replicas(load, "Decoder-a", 60) == 10
    assert decoder_replicas(load, "Decoder-b", 60) == 0
    assert (
        decoder_replicas(load, "Decoder-c", 60) == 1
    )  # never seen: only a replica can describe it
