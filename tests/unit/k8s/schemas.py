"""Errors of a manifest, by the schemas of Kubernetes and of the operators; all strict."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

from tests.unit.k8s.manifests import ROOT, Manifest, groups, pod_templates

CRDS = ROOT.parent / "shared" / "kuberay"
"""Where KubeRay's CustomResourceDefinitions are, beside the repository."""
VERSIONS = ("1.30", kubernetes_validate.latest_version())
"""The oldest Kubernetes that is supported, and the newest for which there are schemas."""
OPERATOR = {
    "PodMonitor": Path(__file__).with_name("pod_monitor.yaml"),
    "PrometheusRule": Path(__file__).with_name("prometheus_rule.yaml"),
}
"""Schemas of the Prometheus operator's kinds."""
RAYSERVICE_FIELDS = Path(__file__).with_name("rayservice_fields.yaml")


def faults(manifest: Manifest, crds: Path = CRDS) -> list[str]:
    """Every fault of a manifest, one line per fault; empty if there is none.

    Without ``crds`` a RayService's own fields are compared with the list of those that we use.
    """
    if manifest["kind"] == "RayService":
        return _metadata(manifest) + _pods(manifest) + _own(manifest, crds)
    if file := OPERATOR.get(manifest["kind"]):
        schema = yaml.safe_load(file.read_text())
        return _metadata(manifest) + _by_schema(schema, manifest)
    return _kubernetes(manifest)


def _metadata(manifest: Manifest) -> list[str]:
    """Metadata has the same form for all kinds, so a ConfigMap is used to check it."""
    stand_in = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": manifest["metadata"]}
    return _kubernetes(stand_in)


def _pods(manifest: Manifest) -> list[str]:
    found = []
    for name, template in pod_templates(manifest):
        stand_in = {"apiVersion": "v1", "kind": "PodTemplate", "template": template}
        found += _kubernetes(stand_in, f"{name}: ")
    return found


def _own(service: Manifest, crds: Path) -> list[str]:
    if crds.is_dir():
        return _by_schema(rayservice_schema(crds), service)
    used = yaml.safe_load(RAYSERVICE_FIELDS.read_text())
    return [f"{field}: not a field that is used" for field in own_fields(service) - set(used)]


def _kubernetes(manifest: Manifest, where: str = "") -> list[str]:
    found = []
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            path = ".".join(map(str, error.path))
            found.append(f"{where}{path}: {error.message} (Kubernetes {version})")
    return found


def _by_schema(schema: Any, manifest: Manifest) -> list[str]:
    errors = jsonschema.Draft202012Validator(schema).iter_errors(manifest)
    return [f"{'.'.join(map(str, e.path))}: {e.message}" for e in errors]


@cache
def rayservice_schema(crds: Path) -> Any:
    """The RayService's JSON schema, v1; an unknown field is a fault."""
    text = (crds / "ray.io_rayservices.yaml").read_text()
    definition = yaml.load(text, Loader=yaml.CSafeLoader)
    version = next(v for v in definition["spec"]["versions"] if v["name"] == "v1")
    schema = _strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}  # Kubernetes' own, always the same
    return schema


def _strict(node: Any) -> Any:
    """OpenAPI v3 as Kubernetes writes it, as JSON schema that accepts no unknown field."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: _strict(value) for key, value in node.items()}
    if out.pop("x-kubernetes-int-or-string", False):
        out.pop("anyOf", None)
        out["type"] = ["integer", "string"]
    if isinstance(out.get("properties"), dict) and "type" in out:
        out.setdefault("additionalProperties", False)
    return out


def own_fields(service: Manifest) -> set[str]:
    """The dotted names of a RayService's fields that no other schema knows.

    Pod templates and free-form fields (environment, labels, resources) are left out.
    """

    def walk(value: Any, path: str) -> Iterator[str]:
        if isinstance(value, dict) and path not in FREE:
            for key, inner in value.items():
                if key != "template":
                    yield from walk(inner, f"{path}.{key}" if path else key)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item, path)
        else:
            yield path

    assert groups(service)  # a RayService without them has no use here
    return set(walk({key: service[key] for key in service if key != "metadata"}, ""))


FREE = {
    f"spec.rayClusterConfig.{path}"
    for path in (
        "autoscalerOptions.resources",
        "autoscalerOptions.securityContext",
        "headGroupSpec.rayStartParams",
        "workerGroupSpecs.rayStartParams",
        "workerGroupSpecs.resources",
    )
}
