"""How many slots of a planner a job takes: its engine makes no more plans at a time."""

from typing import Any

import pytest

from acestep_ray.jobs.plan_cost import plan_slots
from acestep_ray.planner.protocol import PlanParameters
from acestep_ray.settings import Lm, Settings
from tests.unit.jobs.specs import spec

VLLM = Settings(planner="vllm", lm=Lm(max_concurrent_plans=6))


def slots(settings: Settings, takes: int, **plan: Any) -> int:
    parameters = {"planner": "Planner", "plan_per_take": True} | plan
    job = spec(PlanParameters.model_validate(parameters), seeds=tuple(range(takes)))
    return plan_slots(job, settings)


@pytest.mark.parametrize(("takes", "expected"), [(1, 1), (4, 4), (6, 6), (8, 6)])
def test_one_for_each_take_as_far_as_a_replica_has_them(takes: int, expected: int) -> None:
    assert slots(VLLM, takes) == expected


def test_what_is_written_once_takes_one_slot() -> None:
    assert slots(VLLM, 4, plan_per_take=False) == 1
    assert slots(VLLM, 4, infer_type="dit") == 1
    assert slots(VLLM, 4, temperature=0) == 1
    same = spec(PlanParameters(planner="Planner", plan_per_take=True), seeds=(3, 3, 4))
    assert plan_slots(same, VLLM) == 2
    assert plan_slots(spec(), VLLM) == 1


def test_an_engine_that_works_on_one_job_at_a_time_writes_all_its_takes_at_once() -> None:
    assert slots(Settings(planner="pt"), 4) == 1


def test_a_planner_of_another_cluster_is_known_by_its_engine() -> None:
    elsewhere = {"planner": "Planner-acestep-5Hz-lm-4B-vllm"}
    assert slots(Settings(), 8, **elsewhere, backend="vllm") == 8
    assert slots(VLLM, 8, **elsewhere, backend="pt") == 1
    assert slots(VLLM, 8, **elsewhere) == 1  # of an earlier release: it was not noted
