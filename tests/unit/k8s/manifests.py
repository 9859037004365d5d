"""The manifests in the form in which they are applied: built by kubectl, read as documents."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
KUBECTL = Path(sys.executable).with_name("kubectl")
"""The kubectl that comes with the tests: the same on every machine."""
OVERLAYS = ("cpu-mock", "gpu", "ha")
CLUSTERS = ("gpu", "ha")
"""Overlays of more than one Ray node."""

Manifest = dict[str, Any]


def build(folder: Path) -> list[Manifest]:
    """What ``kubectl apply -k FOLDER`` would send."""
    command = [str(KUBECTL), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    return list(yaml.safe_load_all(done.stdout))


@cache
def _built(folder: str) -> bytes:
    return pickle.dumps(build(ROOT / "k8s" / folder))


def built(folder: str) -> list[Manifest]:
    """The manifests of ``k8s/FOLDER``, a fresh copy."""
    manifests: list[Manifest] = pickle.loads(_built(folder))  # YAML takes a hundred times as long
    return manifests


@cache
def _public() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder).resolve()
        lines = {
            "resources": [os.path.relpath(ROOT / "k8s/overlays/gpu", here)],
            "components": [os.path.relpath(ROOT / "k8s/components/public", here)],
        }
        (here / "kustomization.yaml").write_text(yaml.safe_dump(lines))
        return pickle.dumps(build(here))


def public() -> list[Manifest]:
    """The gpu overlay with the public component, as a user's own overlay includes it."""
    manifests: list[Manifest] = pickle.loads(_public())
    return manifests


def everything() -> list[tuple[str, Manifest]]:
    """Each manifest that the repository can apply, with a name for it."""
    folders = [*(f"overlays/{name}" for name in OVERLAYS), "checkpoints"]
    found = [(folder, manifest) for folder in folders for manifest in built(folder)]
    found += [("public", manifest) for manifest in public() if manifest["kind"] == "Ingress"]
    return [(f"{folder} {m['kind']} {m['metadata']['name']}", m) for folder, m in found]


def rayservice(overlay: str) -> Manifest:
    """The overlay's RayService."""
    return next(m for m in built(f"overlays/{overlay}") if m["kind"] == "RayService")


def cluster_of(service: Manifest) -> Manifest:
    """The RayCluster that KubeRay makes from a RayService, as far as the RayService defines it."""
    cluster: Manifest = service["spec"]["rayClusterConfig"]
    return cluster


def groups(service: Manifest) -> dict[str, Manifest]:
    """Head and worker groups by name."""
    cluster = cluster_of(service)
    workers = cluster.get("workerGroupSpecs") or []
    return {"head": cluster["headGroupSpec"]} | {group["groupName"]: group for group in workers}


def pod_templates(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Each pod template in a manifest, with a name for it."""
    if manifest["kind"] == "RayService":
        for name, group in groups(manifest).items():
            yield name, group["template"]
    elif manifest["kind"] in ("StatefulSet", "Job"):
        yield manifest["metadata"]["name"], manifest["spec"]["template"]


def containers(template: Manifest) -> Iterator[Manifest]:
    """All containers of a pod, including its init containers."""
    spec = template["spec"]
    yield from spec.get("initContainers", [])
    yield from spec["containers"]
