"""What KubeRay refuses in a RayService although its schema allows it: rules of its code and CEL."""

import re
from collections.abc import Iterator

from tests.unit.k8s.manifests import Manifest, cluster_of, groups

NAME_LENGTH = 41
"""KubeRay's limit leaves space for the suffixes of the objects that it makes."""
IN_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")
MANAGERS = ("ray.io/kuberay-operator", "kueue.x-k8s.io/multikueue")
STRATEGIES = ("NewCluster", "NewClusterWithIncrementalUpgrade", "None")


def refusals(service: Manifest) -> list[str]:
    """Every rule that a RayService breaks, one sentence per rule."""
    return [
        *_service(service),
        *_upgrade(service),
        *_groups(service),
        *_autoscaling(service),
        *_store_and_auth(service),
    ]


def _service(service: Manifest) -> Iterator[str]:
    name = service["metadata"]["name"]
    if len(name) > NAME_LENGTH or not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        yield f"{name}: not a DNS label of at most {NAME_LENGTH} characters"
    if service["spec"].get("managedBy", MANAGERS[0]) not in MANAGERS:
        yield "managedBy: unknown manager"
    if service["spec"].get("rayClusterDeletionDelaySeconds", 60) < 0:
        yield "rayClusterDeletionDelaySeconds: negative"
    if (cluster_of(service)["headGroupSpec"].get("headService") or {}).get("metadata"):
        yield "headService: its name is KubeRay's"


def _upgrade(service: Manifest) -> Iterator[str]:
    strategy = service["spec"].get("upgradeStrategy") or {}
    if strategy.get("type", STRATEGIES[0]) not in STRATEGIES:
        yield f"upgradeStrategy.type: one of {', '.join(STRATEGIES)}"
    if strategy.get("type") != "NewClusterWithIncrementalUpgrade":
        return
    if not cluster_of(service).get("enableInTreeAutoscaling"):
        yield "incremental upgrade: needs the in-tree autoscaler"
    options = strategy.get("clusterUpgradeOptions")
    if not options:
        yield "incremental upgrade: needs clusterUpgradeOptions"
        return
    surge, step = options.get("maxSurgePercent", 100), options.get("stepSizePercent", -1)
    if not 0 <= surge <= 100:
        yield "maxSurgePercent: 0 to 100"
    if not 0 <= step <= 100 or step > surge:
        yield "stepSizePercent: 0 to 100, and no more than maxSurgePercent"
    if options.get("intervalSeconds", 0) <= 0:
        yield "intervalSeconds: above 0"
    if not options.get("gatewayClassName"):
        yield "gatewayClassName: missing"


def _groups(service: Manifest) -> Iterator[str]:
    for name, group in groups(service).items():
        params = group.get("rayStartParams") or {}
        for key, value in params.items():
            if not isinstance(value, str):
                yield f"{name}: rayStartParams.{key} is no string"
        if group.get("resources") and any(key in params for key in IN_RESOURCES):
            yield f"{name}: resources both in rayStartParams and of their own"
        if "labels" in params:
            yield f"{name}: labels do not belong in rayStartParams"
        if not group["template"]["spec"].get("containers"):
            yield f"{name}: no container"
        if name == "head":
            continue
        if not group["minReplicas"] <= group.get("replicas", 0) <= group["maxReplicas"]:
            yield f"{name}: replicas between minReplicas and maxReplicas"


def _autoscaling(service: Manifest) -> Iterator[str]:
    cluster = cluster_of(service)
    if not cluster.get("enableInTreeAutoscaling"):
        return
    version_2 = (cluster.get("autoscalerOptions") or {}).get("version") == "v2"
    for name, group in groups(service).items():
        policy = group["template"]["spec"].get("restartPolicy", "Never")
        if version_2 and policy != "Never":
            yield f"{name}: restartPolicy must be Never with autoscaler v2"
        if group.get("suspend"):
            yield f"{name}: cannot be suspended under the autoscaler"


def _store_and_auth(service: Manifest) -> Iterator[str]:
    cluster = cluster_of(service)
    head = cluster["headGroupSpec"]
    names = {entry["name"] for entry in head["template"]["spec"]["containers"][0].get("env", [])}
    taken = names & {"REDIS_PASSWORD", "REDIS_USERNAME", "RAY_REDIS_ADDRESS"}
    if taken:
        yield f"head: {', '.join(sorted(taken))} belong to gcsFaultToleranceOptions"
    if "redis-password" in (head.get("rayStartParams") or {}):
        yield "head: redis-password belongs to gcsFaultToleranceOptions"
    if (cluster.get("authOptions") or {}).get("mode") == "token":
        version = re.match(r"(\d+)\.(\d+)\.", cluster.get("rayVersion", ""))
        if not version or (int(version[1]), int(version[2])) < (2, 52):
            yield "authOptions: a token needs rayVersion 2.52.0 or later"
