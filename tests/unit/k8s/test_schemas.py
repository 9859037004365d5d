"""Finds a manifest that the API server would refuse, or whose misspelt field it would drop."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.k8s.manifests import OVERLAYS, Manifest, everything, rayservice
from tests.unit.k8s.schemas import CRDS, RAYSERVICE_FIELDS, faults, own_fields, rayservice_schema

NOWHERE = Path("/nowhere")
"""A folder without definitions."""
EVERYTHING = everything()
ONE_OF_EACH = list({m["kind"]: m for _, m in EVERYTHING}.values())


def at(manifest: Manifest, path: str) -> Any:
    """The value at the path ``a.b.0.c``."""
    value: Any = manifest
    for step in path.split(".") if path else ():
        value = value[int(step)] if step.isdigit() else value[step]
    return value


@pytest.mark.parametrize("manifest", [m for _, m in EVERYTHING], ids=[n for n, _ in EVERYTHING])
def test_every_manifest_is_right(manifest: Manifest) -> None:
    assert faults(manifest) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_rayservice_is_right_as_far_as_kubernetes_knows(overlay: str) -> None:
    assert faults(rayservice(overlay), NOWHERE) == []


@pytest.mark.parametrize("manifest", ONE_OF_EACH, ids=lambda m: m["kind"])
def test_a_misspelt_field_is_found_in_each_kind(manifest: Manifest) -> None:
    places = ["", "metadata"] + (["spec"] if "spec" in manifest else [])
    for place in places:
        broken = copy.deepcopy(manifest)
        at(broken, place)["misspelt"] = "x"
        assert any("misspelt" in fault for fault in faults(broken)), place


POD = "spec.rayClusterConfig.headGroupSpec.template.spec"


@pytest.mark.parametrize("crds", [CRDS, NOWHERE], ids=["with definitions", "without"])
@pytest.mark.parametrize(
    ("place", "field"),
    [
        ("spec", "upgradeStrategi"),
        ("spec.upgradeStrategy.clusterUpgradeOptions", "stepSize"),
        ("spec.rayClusterConfig", "enableAutoscaling"),
        ("spec.rayClusterConfig.autoscalerOptions", "idleTimeout"),
        ("spec.rayClusterConfig.gcsFaultToleranceOptions", "redisAdress"),
        ("spec.rayClusterConfig.workerGroupSpecs.1", "minReplica"),
        (POD, "nodeSelectors"),
        (f"{POD}.containers.0", "readynessProbe"),
        (f"{POD}.containers.0.env.0.valueFrom.secretKeyRef", "optinal"),
    ],
)
def test_a_misspelt_field_is_found_wherever_it_is(place: str, field: str, crds: Path) -> None:
    service = rayservice("ha")
    at(service, place)[field] = 1
    assert any(field in fault for fault in faults(service, crds))


@pytest.mark.parametrize("crds", [CRDS, NOWHERE], ids=["with definitions", "without"])
def test_a_value_of_the_wrong_type_is_found(crds: Path) -> None:
    service = rayservice("gpu")
    at(service, f"{POD}.containers.0.ports.0")["containerPort"] = "a"
    assert any("ports" in fault for fault in faults(service, crds))


def test_what_only_the_definition_knows() -> None:
    """With the definitions: types, required fields, and the fields of the list beside this file.

    Without them, the end of the test run reports that, and only the list is used.
    """
    listed = yaml.safe_load(RAYSERVICE_FIELDS.read_text())
    used = set().union(*(own_fields(rayservice(overlay)) for overlay in OVERLAYS))
    assert used == set(listed)
    if not CRDS.is_dir():
        return
    for field in listed:
        node = rayservice_schema(CRDS)
        for step in field.split("."):
            node = node.get("items", node)["properties"][step]
    service = rayservice("ha")
    at(service, "spec.rayClusterConfig.headGroupSpec.rayStartParams")["num-cpus"] = 0
    del at(service, "spec.upgradeStrategy.clusterUpgradeOptions")["intervalSeconds"]
    found = "\n".join(faults(service))
    assert "num-cpus" in found
    assert "intervalSeconds" in found
