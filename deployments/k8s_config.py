"""``python -m deployments.k8s_config``: write the Serve configs of the Kubernetes overlays.

Each overlay says in ``serve_changes.yaml`` which config it starts from and what it changes; the
outcome is its ``serve_config.yaml``, which becomes the RayService's ``serveConfigV2``.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from acestep_ray.planner.pairs import PLANNER

ROOT = Path(__file__).parent.parent
OVERLAYS = ("cpu-mock", "gpu", "ha")
"""In the order in which they build upon one another."""
HEADER = "# Written by `make k8s` from {source} and serve_changes.yaml; edit those.\n"


class WrongChange(Exception):
    """A change names something that its config does not have; the message says what it has."""


def write(root: Path = ROOT) -> list[Path]:
    """Write every overlay's serve_config.yaml under ``root``; the files. Raises WrongChange."""
    files = []
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


def merge(base: Any, change: Any, where: str) -> Any:
    """``base`` with ``change`` laid over it: mappings by key, lists of named things by name.

    A planner may be added: configs that change nothing of it do not name it. ``where`` begins the
    path in a WrongChange.
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
            if not item["name"].startswith(PLANNER):
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
    """Write them all; 1 and a sentence where a change is wrong."""
    try:
        write()
    except WrongChange as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
