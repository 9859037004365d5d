"""The overlays deploy the shipped configs, with the changes that are written beside them."""

import shutil
from pathlib import Path

import pytest
import yaml

from deployments.check_config import mistakes
from deployments.k8s_config import OVERLAYS, WrongChange, merge, write
from tests.unit.k8s.manifests import ROOT, rayservice


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_rayservice_holds_the_file(overlay: str) -> None:
    file = ROOT / "k8s" / "overlays" / overlay / "serve_config.yaml"
    assert rayservice(overlay)["spec"]["serveConfigV2"] == file.read_text()


def test_the_files_are_what_make_k8s_writes(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    for config in ROOT.glob("serve_config*.yaml"):
        shutil.copy(config, tmp_path)
    for file in write(tmp_path):
        committed = ROOT / file.relative_to(tmp_path)
        assert committed.read_text() == file.read_text(), f"{committed}: run `make k8s`"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_serve_knows_every_key(overlay: str) -> None:
    config = yaml.safe_load(rayservice(overlay)["spec"]["serveConfigV2"])
    assert mistakes(config) == []
    assert config["http_options"] == {"host": "0.0.0.0", "port": 8000}


def test_a_change_lies_over_its_base() -> None:
    base = {"a": 1, "list": [{"name": "x", "n": 1, "o": 2}, {"name": "y"}], "plain": [1, 2]}
    change = {"list": [{"name": "x", "n": 5}], "plain": [3], "new": {"b": 1}}
    assert merge(base, change, "config") == {
        "a": 1,
        "list": [{"name": "x", "n": 5, "o": 2}, {"name": "y"}],
        "plain": [3],
        "new": {"b": 1},
    }


def test_a_planner_that_the_config_does_not_name_may_be_changed() -> None:
    one = {"name": "Planner", "ray_actor_options": {"num_gpus": 1}}
    merged = merge({"deployments": [{"name": "Decoder"}]}, {"deployments": [one]}, "gpu")
    assert merged == {"deployments": [{"name": "Decoder"}, one]}


def test_a_change_of_something_that_is_not_there_is_refused() -> None:
    base = {"deployments": [{"name": "Planner"}, {"name": "Decoder"}]}
    with pytest.raises(WrongChange, match=r"ha\.deployments: .*'Planer'.*Planner, Decoder"):
        merge(base, {"deployments": [{"name": "Planer"}]}, "ha")
