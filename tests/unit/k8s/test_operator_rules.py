"""A RayService that the API server accepts but KubeRay refuses is found before it is applied."""

from collections.abc import Callable
from importlib.metadata import version

import pytest

from tests.unit.k8s.manifests import CLUSTERS, OVERLAYS, Manifest, cluster_of, groups, rayservice
from tests.unit.k8s.operator_rules import refusals

Break = Callable[[Manifest], object]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kuberay_takes_it(overlay: str) -> None:
    assert refusals(rayservice(overlay)) == []


def options(service: Manifest) -> Manifest:
    found: Manifest = service["spec"]["upgradeStrategy"]["clusterUpgradeOptions"]
    return found


def environment(service: Manifest) -> list[Manifest]:
    head = groups(service)["head"]["template"]["spec"]["containers"][0]
    found: list[Manifest] = head["env"]
    return found


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda s: s["metadata"].update(name="a" * 42), "DNS label"),
        (lambda s: s["spec"].update(managedBy="me"), "managedBy"),
        (lambda s: s["spec"].update(rayClusterDeletionDelaySeconds=-1), "DeletionDelay"),
        (lambda s: s["spec"]["upgradeStrategy"].update(type="Rolling"), "upgradeStrategy"),
        (lambda s: s["spec"]["upgradeStrategy"].pop("clusterUpgradeOptions"), "needs cluster"),
        (lambda s: cluster_of(s).update(enableInTreeAutoscaling=False), "autoscaler"),
        (lambda s: options(s).update(stepSizePercent=60), "stepSizePercent"),
        (lambda s: options(s).update(maxSurgePercent=101), "maxSurgePercent"),
        (lambda s: options(s).update(intervalSeconds=0), "intervalSeconds"),
        (lambda s: options(s).update(gatewayClassName=""), "gatewayClassName"),
        (lambda s: groups(s)["head"]["rayStartParams"].update({"num-cpus": 0}), "no string"),
        (lambda s: groups(s)["planner"]["rayStartParams"].update(memory="1"), "resources both"),
        (lambda s: groups(s)["planner"]["rayStartParams"].update(labels="a=b"), "labels"),
        (lambda s: groups(s)["ingress"].update(replicas=1), "between"),
        (lambda s: groups(s)["ingress"].update(suspend=True), "suspended"),
        (
            lambda s: groups(s)["decoder"]["template"]["spec"].update(restartPolicy="Always"),
            "restartPolicy",
        ),
        (lambda s: environment(s).append({"name": "REDIS_PASSWORD"}), "REDIS_PASSWORD"),
        (lambda s: cluster_of(s).update(rayVersion="2.51.0"), "2.52.0"),
    ],
)
def test_a_broken_rule_is_found(broken: Break, message: str) -> None:
    service = rayservice("ha")
    broken(service)
    assert any(message in refusal for refusal in refusals(service))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_cluster_runs_the_ray_that_is_tested(overlay: str) -> None:
    assert cluster_of(rayservice(overlay))["rayVersion"] == version("ray")


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_a_head_that_restarts_finds_its_cluster_again(overlay: str) -> None:
    options = cluster_of(rayservice(overlay))["gcsFaultToleranceOptions"]
    assert options["backend"] == "redis"
    assert options["redisPassword"]["valueFrom"]["secretKeyRef"]["name"] == "acestep-redis"
