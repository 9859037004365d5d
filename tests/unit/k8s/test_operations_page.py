"""The commands of docs/kubernetes.md, as far as they work without a cluster."""

import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.unit.k8s.manifests import (
    KUBECTL,
    ROOT,
    Manifest,
    build,
    built,
    containers,
    pod_templates,
)

PAGE = (ROOT / "docs" / "kubernetes.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = "".join(BLOCKS)


def shell(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{KUBECTL.parent}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder)},
    )
    assert done.returncode == 0, f"{script}\n{done.stderr}"
    return done.stdout


def secrets_made() -> dict[str, dict[str, str]]:
    """What the page's own commands would create, made by kubectl without a server."""
    lines = [
        line for line in COMMANDS.splitlines() if "create secret" in line or "PASSWORD=$" in line
    ]
    script = "AWS_ACCESS_KEY_ID=id\nAWS_SECRET_ACCESS_KEY=secret\n"
    for line in lines:
        script += (
            f"{line} --dry-run=client -o yaml; echo ---\n" if "kubectl" in line else f"{line}\n"
        )
    made = [secret for secret in yaml.safe_load_all(shell(script, ROOT)) if secret]
    return {
        secret["metadata"]["name"]: {k: b64decode(v).decode() for k, v in secret["data"].items()}
        for secret in made
    }


def references(manifest: Manifest) -> Iterator[tuple[str, str | None]]:
    """Secrets that a manifest needs, and the key (None: all of it)."""

    def walk(value: Any) -> Iterator[tuple[str, str | None]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key == "secretKeyRef" and not inner.get("optional"):
                    yield inner["name"], inner["key"]
                elif key == "secretRef":
                    yield inner["name"], None
                else:
                    yield from walk(inner)
        elif isinstance(value, list):
            for item in value:
                yield from walk(item)

    yield from walk(manifest)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0][:40])
def test_it_is_shell(block: str) -> None:
    subprocess.run(["bash", "-n", "-c", block], check=True)


def test_every_secret_that_pods_need_is_made() -> None:
    made = secrets_made()
    for folder in ("overlays/cpu-mock", "overlays/gpu", "overlays/ha", "checkpoints"):
        for manifest in built(folder):
            for name, key in references(manifest):
                assert name in made, f"{folder} needs the secret {name}"
                assert key is None or made[name][key]
    assert {"ACESTEP_ARTIFACTS", "AWS_ACCESS_KEY_ID"} <= set(made["acestep-s3"])
    assert len(made["acestep-api-key"]["key"]) == 64


def test_the_store_is_the_redis_of_the_manifests_but_not_the_heads_database() -> None:
    made = secrets_made()["acestep-redis"]
    url = urlsplit(made["url"])
    assert url.password == made["password"]
    service = next(m for m in built("overlays/gpu") if m["kind"] == "Service")
    assert (url.hostname, url.port) == (
        service["metadata"]["name"],
        service["spec"]["ports"][0]["port"],
    )
    assert url.path == "/1"


def test_an_overlay_of_ones_own_changes_the_image_everywhere(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    block = next(block for block in BLOCKS if "my-cluster/kustomization.yaml" in block)
    shell(block[block.index("mkdir") :], tmp_path)
    images = [
        container["image"]
        for folder in ("my-cluster", "my-cluster/checkpoints")
        for manifest in build(tmp_path / folder)
        for _, template in pod_templates(manifest)
        for container in containers(template)
        if "redis" not in container["image"]
    ]
    assert len(images) == 5
    assert set(images) == {"registry.example.com/acestep-ray:1"}


def test_what_it_names_is_there() -> None:
    for path in re.findall(r"kubectl apply -[kf] (\S+)", COMMANDS):
        assert path.startswith("my-cluster") or (ROOT / path).exists(), path
    manifests = [m for folder in ("checkpoints", "overlays/gpu") for m in built(folder)]
    names = {f"{m['kind'].lower()}/{m['metadata']['name']}" for m in manifests}
    names.add("service/acestep-serve-svc")  # KubeRay's, after the RayService
    for name in re.findall(r"\b((?:job|rayservice|service)/[\w-]+)", COMMANDS):
        assert name in names
    for path in re.findall(r"`(k8s/[\w/.-]+)`", PAGE):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / path).exists(), path
