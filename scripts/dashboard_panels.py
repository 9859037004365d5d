"""The panels of the Grafana dashboard, with their queries as Prometheus understands them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).parent.parent / "k8s" / "components" / "monitoring" / "dashboard.json"


@dataclass(frozen=True)
class Query:
    """One query of a panel. ``legend``: names a series, with ``{{label}}`` for its labels."""

    expr: str
    legend: str

    def for_prometheus(self, window: str) -> str:
        """The query with a value for each of Grafana's variables: every cluster, and ``window``
        (such as 1m) for its rates."""
        expr = self.expr.replace("$__rate_interval", window).replace("$cluster", ".*")
        assert "$" not in expr, f"a variable that has no value here: {self.expr}"
        return expr

    def name(self, labels: dict[str, str]) -> str:
        """The legend of a series that has these labels."""
        name = self.legend
        for label, value in labels.items():
            name = name.replace("{{" + label + "}}", value)
        return name


@dataclass(frozen=True)
class Panel:
    """``kind``: stat (numbers) or timeseries. ``unit``: as Grafana names it. ``place``: x, y, width
    and height; the dashboard is 24 wide."""

    row: str
    title: str
    description: str
    kind: str
    unit: str
    place: tuple[int, int, int, int]
    queries: tuple[Query, ...]
    stacked: bool
    values: dict[str, str]
    """Texts in place of numbers."""


def panels(file: Path = DASHBOARD) -> Iterator[Panel]:
    """All panels, in their order, each with the title of its row."""
    row = ""
    for one in json.loads(file.read_text())["panels"]:
        if one["type"] == "row":
            row = one["title"]
        else:
            yield _panel(row, one)


def _panel(row: str, one: dict[str, Any]) -> Panel:
    defaults = one["fieldConfig"]["defaults"]
    stacking = defaults.get("custom", {}).get("stacking", {}).get("mode", "none")
    texts = [mapping["options"] for mapping in defaults.get("mappings", [])]
    grid = one["gridPos"]
    return Panel(
        row=row,
        title=one["title"],
        description=one["description"],
        kind=one["type"],
        unit=defaults["unit"],
        place=(grid["x"], grid["y"], grid["w"], grid["h"]),
        queries=tuple(Query(t["expr"], t["legendFormat"]) for t in one["targets"]),
        stacked=stacking == "normal",
        values={value: text["text"] for options in texts for value, text in options.items()},
    )
