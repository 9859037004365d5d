"""Each deployment fits its own worker group, and no other, by Ray's own rules.

A replica that fits nowhere waits for ever; one that fits another GPU pod than its own holds a GPU
without using it.
"""

from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)

from acestep_ray.settings import Settings
from tests.unit.k8s.manifests import CLUSTERS, cluster_of, groups, rayservice

GROUP = {"Ingress": "ingress", "Runner": "ingress", "Planner": "planner", "Decoder": "decoder"}


def node_types(overlay: str) -> dict[str, Any]:
    """What the in-tree autoscaler reads from the cluster: group to resources and bounds."""
    cluster = {
        "metadata": {"name": "acestep-x", "namespace": "acestep"},
        "spec": cluster_of(rayservice(overlay)),
    }
    found: dict[str, Any] = _derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]
    return found


def deployments(overlay: str) -> list[dict[str, Any]]:
    config = yaml.safe_load(rayservice(overlay)["spec"]["serveConfigV2"])
    found: list[dict[str, Any]] = config["applications"][0]["deployments"]
    return found


def replicas_of(overlay: str, deployment: dict[str, Any]) -> tuple[int, int]:
    """The fewest and the most replicas that are allowed."""
    if "num_replicas" in deployment:
        return deployment["num_replicas"], deployment["num_replicas"]
    config = yaml.safe_load(rayservice(overlay)["spec"]["serveConfigV2"])
    scaling = Settings.model_validate(config["applications"][0]["args"]).scaling
    stage = scaling.planner if group_of(deployment) == "planner" else scaling.decoder
    return stage.min_replicas, stage.max_replicas


def needs(deployment: dict[str, Any]) -> dict[str, float]:
    """What one replica requests, by Ray's names of resources."""
    options = deployment["ray_actor_options"]
    asked = {"CPU": options.get("num_cpus", 1), "GPU": options.get("num_gpus", 0)}
    return {k: v for k, v in (asked | options.get("resources", {})).items() if v}


def fits(asked: dict[str, float], resources: dict[str, float]) -> int:
    """How many replicas fit on a pod."""
    return int(min(resources.get(name, 0) // amount for name, amount in asked.items()))


def group_of(deployment: dict[str, Any]) -> str:
    return GROUP[deployment["name"].partition("-")[0]]  # Planner-MODEL-BACKEND is a planner, too


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_a_replica_fits_its_group_and_no_other(overlay: str) -> None:
    types = node_types(overlay)
    assert set(types) == {"headgroup", "ingress", "planner", "decoder"}
    for deployment in deployments(overlay):
        asked = needs(deployment)
        found = {name for name, t in types.items() if fits(asked, t["resources"])}
        assert found == {group_of(deployment)}, (deployment["name"], asked)


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_the_job_store_actor_is_on_no_pod_that_comes_and_goes(overlay: str) -> None:
    config = yaml.safe_load(rayservice(overlay)["spec"]["serveConfigV2"])
    resource = Settings.model_validate(config["applications"][0]["args"]).store_resource
    has = {name for name, t in node_types(overlay).items() if t["resources"].get(resource)}
    assert has == {"ingress"}
    replicas = sum(replicas_of(overlay, d)[1] for d in deployments(overlay))
    assert node_types(overlay)["ingress"]["resources"][resource] > replicas  # all on one pod


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_there_may_be_pods_for_all_replicas(overlay: str) -> None:
    types = node_types(overlay)
    most = dict.fromkeys(types, 0)
    for deployment in deployments(overlay):
        group = group_of(deployment)
        replicas = replicas_of(overlay, deployment)[1]
        holds = fits(needs(deployment), types[group]["resources"])
        holds = min(holds, deployment.get("max_replicas_per_node") or holds)
        pods = -(-replicas // holds)
        # GPU replicas of all deployments have a pod each; the others share pods.
        most[group] = most[group] + pods if "GPU" in needs(deployment) else max(most[group], pods)
    for group, pods in most.items():
        assert pods <= types[group]["max_workers"], group


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_the_gpus_asked_for_are_the_gpus_of_the_pods(overlay: str) -> None:
    service = rayservice(overlay)
    for name in ("planner", "decoder"):
        spec = groups(service)[name]["template"]["spec"]
        resources = spec["containers"][0]["resources"]
        assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"]
        assert node_types(overlay)[name]["resources"]["GPU"] == 1
        assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec[
            "tolerations"
        ]
        assert spec["nodeSelector"]
    assert "GPU" not in node_types(overlay)["ingress"]["resources"]


def test_ha_survives_the_loss_of_any_one() -> None:
    types = node_types("ha")
    for deployment in deployments("ha"):
        assert replicas_of("ha", deployment)[0] >= 2
        if group_of(deployment) == "ingress":
            assert deployment["max_replicas_per_node"] == 1
    assert types["ingress"]["min_workers"] >= 2
    spread = groups(rayservice("ha"))["ingress"]["template"]["spec"]["topologySpreadConstraints"]
    assert {"kubernetes.io/hostname", "topology.kubernetes.io/zone"} == {
        constraint["topologyKey"] for constraint in spread
    }
