"""No service without a key, no process as root, and everything that stops ends its jobs first."""

from typing import Any

import pytest
import yaml

from tests.unit.k8s.manifests import (
    CLUSTERS,
    OVERLAYS,
    Manifest,
    built,
    cluster_of,
    containers,
    everything,
    groups,
    pod_templates,
    public,
    rayservice,
)

TEMPLATES = [
    (f"{name} {pod}", template)
    for name, manifest in everything()
    for pod, template in pod_templates(manifest)
]
RAY_PODS = [
    (f"{overlay} {name}", group["template"])
    for overlay in OVERLAYS
    for name, group in groups(rayservice(overlay)).items()
]


def ids(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {"argvalues": [value for _, value in pairs], "ids": [name for name, _ in pairs]}


def environment(container: Manifest) -> dict[str, Any]:
    return {entry["name"]: entry for entry in container.get("env", [])}


@pytest.mark.parametrize("template", **ids(RAY_PODS))
def test_no_pod_starts_without_the_key(template: Manifest) -> None:
    """A missing secret that is not optional prevents the creation of the container."""
    key = environment(template["spec"]["containers"][0])["ACESTEP_API_KEY"]
    assert key["valueFrom"]["secretKeyRef"] == {"name": "acestep-api-key", "key": "key"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_overlays_make_nothing_public(overlay: str) -> None:
    for manifest in built(f"overlays/{overlay}"):
        assert manifest["kind"] not in ("Ingress", "Gateway", "HTTPRoute", "Secret")
        if manifest["kind"] == "Service":
            assert manifest["spec"].get("type", "ClusterIP") == "ClusterIP"
    service = rayservice(overlay)
    assert "serveService" not in service["spec"]
    head = groups(service)["head"]
    assert "enableIngress" not in head
    assert head.get("serviceType", "ClusterIP") == "ClusterIP"


def test_the_public_component_is_tls_before_pods_with_a_key() -> None:
    ingress = next(m for m in public() if m["kind"] == "Ingress")
    hosts = {rule["host"] for rule in ingress["spec"]["rules"]}
    assert hosts == {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]}
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "acestep-serve-svc", "port": {"number": 8000}}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ray_itself_wants_a_token(overlay: str) -> None:
    assert cluster_of(rayservice(overlay))["authOptions"] == {"mode": "token"}


@pytest.mark.parametrize("template", **ids(TEMPLATES))
def test_pods_are_as_restricted_as_kubernetes_asks(template: Manifest) -> None:
    """The Pod Security Standard "restricted", which the namespace enforces."""
    pod = template["spec"]["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(template["spec"])
    for volume in template["spec"].get("volumes", []):
        assert set(volume) - {"name"} <= {"configMap", "persistentVolumeClaim", "emptyDir"}
    for container in containers(template):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert not any("hostPort" in port for port in container.get("ports", []))


@pytest.mark.parametrize("template", **ids(TEMPLATES))
def test_pods_say_what_they_need(template: Manifest) -> None:
    for container in containers(template):
        assert set(container["resources"]["requests"]) >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert not container["image"].endswith(":latest")
        assert ":" in container["image"]


def test_the_autoscaler_is_restricted_too() -> None:
    for overlay in CLUSTERS:
        context = cluster_of(rayservice(overlay))["autoscalerOptions"]["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_pods_of_a_cluster_share_store_storage_image_and_proxy(overlay: str) -> None:
    """Settings are read where Serve builds the application, so all pods have the same ones."""
    pods = [g["template"]["spec"]["containers"][0] for g in groups(rayservice(overlay)).values()]
    for pod in pods:
        assert environment(pod) == environment(pods[0])
        assert pod["envFrom"] == [{"secretRef": {"name": "acestep-s3"}}]
        assert pod["image"] == "acestep-ray:gpu"
    store = environment(pods[0])["ACESTEP_STORE"]["valueFrom"]["secretKeyRef"]
    assert store == {"name": "acestep-redis", "key": "url"}


def test_one_node_may_have_files() -> None:
    """SQLite and local audio: one Ray node, one cluster at a time, on a permanent volume."""
    service = rayservice("cpu-mock")
    assert list(groups(service)) == ["head"]
    assert service["spec"]["upgradeStrategy"] == {"type": "None"}
    spec = groups(service)["head"]["template"]["spec"]
    claim = spec["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim in {m["metadata"]["name"] for m in built("overlays/cpu-mock")}
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    assert (
        config["applications"][0]["args"]["data"]
        == spec["containers"][0]["volumeMounts"][0]["mountPath"]
    )


@pytest.mark.parametrize("template", **ids(RAY_PODS))
def test_haproxy_is_on_everywhere(template: Manifest) -> None:
    env = environment(template["spec"]["containers"][0])
    assert env["RAY_SERVE_ENABLE_HA_PROXY"]["value"] == "1"
    assert env["RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S"]["value"] == "1"


@pytest.mark.parametrize("template", **ids(RAY_PODS))
def test_probes_ask_ray_and_serve(template: Manifest) -> None:
    container = template["spec"]["containers"][0]
    ray = {"path": "/api/healthz", "port": 52365}
    assert container["livenessProbe"]["httpGet"] == ray
    assert container["startupProbe"]["httpGet"] == ray
    head = template["metadata"]["labels"]["app.kubernetes.io/component"] == "head"
    proxy = {"path": "/-/healthz", "port": 8000}
    assert container["readinessProbe"]["httpGet"] == (ray if head else proxy)


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_a_pod_waits_for_its_longest_job(overlay: str) -> None:
    service = rayservice(overlay)
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    # If the config does not set the planner's, it follows jobs.timeout as the others do.
    named = config["applications"][0]["deployments"]
    drain = max(d.get("graceful_shutdown_timeout_s", 0) for d in named)
    for name, group in groups(service).items():
        if name == "head":
            continue
        spec = group["template"]["spec"]
        hook = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
        assert hook[:3] == ["python", "-m", "deployments.leave_node"]
        seconds = int(hook[hook.index("--seconds") + 1])
        # Serve stops what has no other place `drain` seconds before the end: after a minute.
        assert seconds == drain + 60
        assert spec["terminationGracePeriodSeconds"] > seconds
    if overlay == "ha":
        assert service["spec"]["rayClusterDeletionDelaySeconds"] > drain


def test_budgets_match_pods_and_let_one_go() -> None:
    """Pods of an operator: `minAvailable`, as a whole number, and less than there always are."""
    least = {"ingress": 2, "planner": 2, "decoder": 2}
    budgets = [m for m in built("overlays/ha") if m["kind"] == "PodDisruptionBudget"]
    seen = set()
    for budget in budgets:
        labels = budget["spec"]["selector"]["matchLabels"]
        for name, group in groups(rayservice("ha")).items():
            if labels.items() <= group["template"]["metadata"]["labels"].items():
                assert 0 < budget["spec"]["minAvailable"] < least[name]
                seen.add(name)
        assert "maxUnavailable" not in budget["spec"]
    assert seen == set(least)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_pods(overlay: str) -> None:
    """A policy, budget or monitor that selects no pod has no effect, and gives no error."""
    manifests = built(f"overlays/{overlay}")
    pods = [t["metadata"]["labels"] for m in manifests for _, t in pod_templates(m)]
    for manifest in manifests:
        spec = manifest.get("spec", {})
        own = manifest["kind"] in ("PodDisruptionBudget", "PodMonitor")
        selector = spec.get("selector" if own else "podSelector") or {}
        if labels := selector.get("matchLabels"):
            assert any(labels.items() <= pod.items() for pod in pods), manifest["metadata"]["name"]


def test_monitored_ports_are_there() -> None:
    monitors = [m for m in built("overlays/ha") if m["kind"] == "PodMonitor"]
    assert len(monitors) == 2
    pods = {name: g["template"] for name, g in groups(rayservice("ha")).items()}
    for monitor in monitors:
        names = ["head"] if monitor["metadata"]["name"].endswith("head") else list(pods)[1:]
        for name in names:
            ports = {port["name"] for port in pods[name]["spec"]["containers"][0]["ports"]}
            assert {e["port"] for e in monitor["spec"]["podMetricsEndpoints"]} <= ports


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_only_rays_pods_reach_redis(overlay: str) -> None:
    manifests = built(f"overlays/{overlay}")
    policies = {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"}
    assert policies["nobody"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    ray = {"podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "acestep"}}}
    assert policies["redis"]["ingress"] == [{"from": [ray], "ports": [{"port": 6379}]}]


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_redis_keeps_what_it_answered(overlay: str) -> None:
    manifests = built(f"overlays/{overlay}")
    redis = next(m for m in manifests if m["kind"] == "StatefulSet")
    volume = redis["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]
    config = next(
        m["data"]["redis.conf"]
        for m in manifests
        if m["kind"] == "ConfigMap" and m["metadata"]["name"] == volume
    )
    lines = config.splitlines()
    for line in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction"):
        assert line in lines
    assert redis["spec"]["volumeClaimTemplates"]
