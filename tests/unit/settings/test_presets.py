"""Presets are used if a value is not set, and come before the defaults."""

import pytest
from pydantic import ValidationError

from acestep_ray.replicas.planners import planners_of
from acestep_ray.settings import Settings
from acestep_ray.settings.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_legal(name: str) -> None:
    assert Settings.model_validate({"preset": name}).preset == name


def test_a_preset_gives_what_nobody_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACESTEP_SCALING__PLANNER__NUM_GPUS", "0.2")
    args = {"preset": "12gb", "scaling": {"decoder": {"max_replicas": 2}}, "lm": {"context": 2048}}
    settings = Settings.model_validate(args)
    scaling = settings.scaling
    assert (scaling.planner.num_gpus, scaling.planner.max_replicas) == (0.2, 1)
    assert (scaling.decoder.num_gpus, scaling.decoder.max_replicas) == (0.7, 2)
    assert (settings.lm.model, settings.lm.context) == ("acestep-5Hz-lm-0.6B", 2048)


def test_the_environment_chooses_another_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACESTEP_PRESET", "cluster")
    settings = Settings.model_validate({"preset": "12gb"})
    assert settings.scaling.elastic
    assert settings.lm.model == ""


def test_a_preset_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(ValidationError, match="12gb"):
        Settings.model_validate({"preset": "16gb"})


def test_listed_planners_take_the_presets_gpu() -> None:
    planners = [
        {"model": "a", "backend": "pt"},
        {"model": "b", "backend": "pt", "num_gpus": 0.1},
    ]
    settings = Settings.model_validate({"preset": "24gb", "planners": planners})
    assert [spec.pair.num_gpus for spec in planners_of(settings)] == [0.4, 0.1]


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ({"decoder": {"num_gpus": 1.5}}, "whole number"),
        ({"decoder": {"min_replicas": 3, "max_replicas": 2}}, "min_replicas (3)"),
        ({"elastic": True, "decoder": {"max_replicas": 0}}, "decoder.max_replicas must be given"),
        ({"target_seconds": 0}, "greater than 0"),
    ],
)
def test_what_cannot_be_is_refused(scaling: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Settings.model_validate({"scaling": scaling})
    assert message in str(refusal.value)


def test_engines_that_keep_their_gpu_take_no_turns() -> None:
    turns = {"scaling": {"gpu_turns": True}}
    assert Settings.model_validate({"planner": "pt", **turns}).scaling.gpu_turns
    pairs = [{"model": "a", "backend": "pt"}, {"model": "a", "backend": "vllm"}]
    for fields in ({"planner": "vllm"}, {"planners": pairs}):
        with pytest.raises(ValidationError, match="not for the vllm planner"):
            Settings.model_validate({**fields, **turns})
    Settings.model_validate({"planner": "vllm", "planners": pairs[:1], **turns})
