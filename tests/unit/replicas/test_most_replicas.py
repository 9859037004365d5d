"""Replicas against the GPUs of the cluster, when the application is built."""

from typing import Any

import pytest

from acestep_ray.errors import GpuMemoryError
from acestep_ray.replicas.placement import most_replicas
from acestep_ray.settings import Settings


def most(nodes: list[int] | None, **args: Any) -> dict[str, int]:
    settings = Settings.model_validate(args)
    return most_replicas(settings, nodes)


@pytest.mark.parametrize("preset", ["12gb", "24gb"])
def test_both_share_one_gpu(preset: str) -> None:
    assert most([1], preset=preset) == {"Planner": 1, "Decoder": 1}


def test_the_box_gives_the_decoder_every_gpu_but_one() -> None:
    assert most([8], preset="box") == {"Planner": 1, "Decoder": 7}
    assert most([2], preset="box") == {"Planner": 1, "Decoder": 1}
    with pytest.raises(GpuMemoryError, match=r"1 Planner .* = 2 GPUs do not fit onto 1 GPU "):
        most([1], preset="box")


def test_a_cluster_that_grows_is_not_held_against_what_is_there() -> None:
    assert most([], preset="cluster") == {"Planner": 4, "Decoder": 32}


def test_parts_that_are_more_than_a_gpu_are_refused() -> None:
    scaling = {"planner": {"num_gpus": 0.5}, "decoder": {"num_gpus": 0.6}}
    with pytest.raises(GpuMemoryError, match=r"num_gpus 0\.5 \+ 1 Decoder of num_gpus 0\.6 = 1\.1"):
        most([1], scaling=scaling)
    assert most([1, 1], scaling=scaling) == {"Planner": 1, "Decoder": 1}


def test_more_replicas_than_gpus_are_refused() -> None:
    scaling: dict[str, Any] = {"planner": {"num_gpus": 1}, "decoder": {"num_gpus": 1}}
    scaling["decoder"]["max_replicas"] = 4
    assert most([5], scaling=scaling)["Decoder"] == 4
    with pytest.raises(GpuMemoryError, match="4 Decoder of num_gpus 1"):
        most([4], scaling=scaling)


def test_planners_that_may_rest_need_no_gpu_beside_each_other() -> None:
    pairs = [{"model": name, "backend": "pt", "num_gpus": 0.4, "min_replicas": 0} for name in "abc"]
    scaling = {"decoder": {"num_gpus": 0.6}}
    assert most([1], planners=pairs, scaling=scaling)["Decoder"] == 1
    with pytest.raises(GpuMemoryError):
        most([1], planners=[{**pairs[0], "min_replicas": 1}, *pairs[1:]], scaling=scaling)


def test_engines_without_a_gpu_need_no_gpu() -> None:
    assert most([0], scaling={"decoder": {"max_replicas": 9}}) == {"Planner": 1, "Decoder": 9}
    assert most(None, preset="box") == {"Planner": 1, "Decoder": 1}
