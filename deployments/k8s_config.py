"""``python -m deployments.k8s_config``: write the Serve configs of the Kubernetes overlays, and the
alert rules in the form of the Prometheus operator.

The file ``serve_changes.yaml`` of an overlay names the config that it starts from, and its changes.
The result is its ``serve_config.yaml``, which becomes the RayService's ``serveConfigV2``.

``alerts.yaml`` of the component ``monitoring`` is a rules file of Prometheus itself, which has no
use for a Kubernetes manifest around it; ``prometheus-rule.yaml`` is written from it.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from acestep_ray.replicas.decoders import DECODER
from acestep_ray.replicas.planners import PLANNER

ROOT = Path(__file__).parent.parent
OVERLAYS = ("cpu-mock", "gpu", "ha")
"""Each after the one that it starts from."""
MONITORING = Path("k8s", "components", "monitoring")
HEADER = "# Written by `make k8s` from {source} and serve_changes.yaml; edit those.\n"

RULE_HEADER = "# Written by `make k8s` from alerts.yaml; edit that.\n"


class WrongChange(Exception):
    """A change names something that its config does not have; the message names what it has."""


def write(root: Path = ROOT) -> list[Path]:
    """Write the serve_config.yaml of every overlay, and the prometheus-rule.yaml; returns the
    files. Raises WrongChange."""
    files = [write_rule(root / MONITORING)]
    for overlay in OVERLAYS:
        folder = root / "k8s" / "overlays" / overlay
        changes = yaml.safe_load((folder / "serve_changes.yaml").read_text())
        base = yaml.safe_load((root / changes["from"]).read_text())
        changed = merge(base, changes["changes"], overlay)
        file = folder / "serve_config.yaml"
        text = yaml.safe_dump(changed, sort_keys=False)
        file.write_text(HEADER.format(source=changes["from"]) + text)
        files.append(file)
    return files


def write_rule(folder: Path) -> Path:
    """Write the alert rules as a PrometheusRule; returns the file."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "acestep-ray", "namespace": "acestep"},
        "spec": yaml.safe_load((folder / "alerts.yaml").read_text()),
    }
    file = folder / "prometheus-rule.yaml"
    file.write_text(RULE_HEADER + yaml.safe_dump(rule, sort_keys=False, width=100))
    return file


def merge(base: Any, change: Any, where: str) -> Any:
    """``base`` with ``change`` applied: mappings by key, lists of named items by name.

    Planners and decoders may be added: a config need not name them. ``where``: start of the path in
    the message of a WrongChange.
    """
    if isinstance(base, dict) and isinstance(change, dict):
        inner = {
            key: merge(base.get(key), value, f"{where}.{key}") for key, value in change.items()
        }
        return base | inner
    if _named(base) and _named(change):
        names = [item["name"] for item in base]
        added = [item for item in change if item["name"] not in names]
        for item in added:
            if not item["name"].startswith((PLANNER, DECODER)):
                raise WrongChange(
                    f"{where}: there is no {item['name']!r}; there are {', '.join(names)}."
                )
        changes = {item["name"]: item for item in change}
        merged = [
            merge(item, changes.get(item["name"], {}), f"{where}.{item['name']}") for item in base
        ]
        return merged + added
    return change


def _named(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and "name" in item for item in value
    )


def main() -> int:
    """Write all overlays. If a change is wrong, shows a message and returns 1."""
    try:
        write()
    except WrongChange as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
