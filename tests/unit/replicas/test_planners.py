"""Several planners side by side: their names, what each reads, and which makes a plan."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from acestep_ray.planner.engines import make_planner
from acestep_ray.planner.mock.names import PUBLISHED
from acestep_ray.planner.protocol import PlannerError, PlanRequest
from acestep_ray.replicas.planners import PLANNER, planner_for, planners_of
from acestep_ray.settings import Settings

SMALL, LARGE = PUBLISHED[0], PUBLISHED[2]
BOTH = {
    "planners": [
        {"model": SMALL, "backend": "mock"},
        {"model": LARGE, "backend": "mock", "min_replicas": 0, "max_replicas": 3},
    ]
}


def settings(**values: Any) -> Settings:
    return Settings.model_validate(values)


def request(**values: Any) -> PlanRequest:
    return PlanRequest.model_validate(
        {"job_id": "a", "attempt": 1, "caption": "", "lyrics": "", **values}
    )


def test_without_a_list_there_is_one_planner_as_the_settings_say(tmp_path: Path) -> None:
    (mock,) = planners_of(settings())
    assert (mock.name, mock.describe().models) == (PLANNER, PUBLISHED)
    (named,) = planners_of(settings(planner="pt", lm={"model": SMALL}))
    assert (named.describe().engine, named.describe().models) == ("pt", (SMALL,))
    (found,) = planners_of(settings(planner="pt", checkpoints=tmp_path))
    assert found.describe().models == ()
    (tmp_path / LARGE).mkdir()
    assert found.describe().models == (LARGE,)


def test_each_listed_pair_reads_its_own_model_and_backend() -> None:
    small, large = planners_of(settings(**BOTH, lm={"context": 2048}))
    assert (small.name, large.name) == (f"Planner-{SMALL}-mock", f"Planner-{LARGE}-mock")
    for spec, model in ((small, SMALL), (large, LARGE)):
        description = spec.describe()
        assert (description.models, description.deployment) == ((model,), spec.name)
        assert spec.settings.lm.context == 2048
        assert make_planner(spec.settings).describe().models == (model,)
    assert (large.pair.min_replicas, large.pair.max_replicas) == (0, 3)


def test_the_list_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = f'[{{"model": "{SMALL}", "backend": "pt", "num_gpus": 0.5}}]'
    monkeypatch.setenv("ACESTEP_PLANNERS", listed)
    (pair,) = settings().planners
    assert (pair.model, pair.backend, pair.num_gpus) == (SMALL, "pt", 0.5)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ({"backend": "pt"}, "name the model on pt"),
        ({"model": "x", "backend": "onnx"}, "'mock', 'pt' or 'vllm'"),
        ({"backend": "mock", "min_replicas": 2}, "must not be above max_replicas"),
        ({"backend": "mock", "replicas": 2}, "Extra inputs"),
    ],
)
def test_a_pair_that_cannot_be_deployed_is_refused(pair: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(planners=[pair])


def test_a_pair_is_listed_once() -> None:
    with pytest.raises(ValidationError, match="the mock on mock is listed twice"):
        settings(planners=[{"backend": "mock"}, {"backend": "mock", "max_replicas": 2}])


def test_a_plan_goes_to_the_planner_that_was_chosen() -> None:
    specs = planners_of(settings(**BOTH))
    chosen = request(planner=f"Planner-{LARGE}-mock", model=LARGE)
    assert planner_for(chosen, specs) == f"Planner-{LARGE}-mock"


def test_a_plan_whose_planner_is_gone_goes_to_one_that_serves_its_model() -> None:
    specs = planners_of(settings(**BOTH))
    assert planner_for(request(planner=PLANNER, model=LARGE), specs) == f"Planner-{LARGE}-mock"
    assert planner_for(request(planner=PLANNER), specs) == f"Planner-{SMALL}-mock"
    with pytest.raises(PlannerError, match=f"'gone' is no longer deployed; there are: {SMALL}"):
        planner_for(request(model="gone"), specs)
