"""Dashboard and alerts name what the service records. An empty panel, or an alert that cannot fire,
looks as if all was well. tests/integration/test_metrics.py asks a real Prometheus."""

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from acestep_ray.metrics import METRICS, Counter, Gauge, Histogram
from scripts.dashboard_panels import Panel, Query, panels
from tests.unit.k8s.manifests import ROOT, built

MONITORING = ROOT / "k8s" / "components" / "monitoring"
ALERTS = MONITORING / "alerts.yaml"
RULES = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
PANELS = list(panels())
EXPRESSIONS = {
    **{f"panel {panel.title}": [query.expr for query in panel.queries] for panel in PANELS},
    **{f"alert {rule['alert']}": [rule["expr"]] for rule in RULES},
}
RAYS = {"ray_serve_deployment_replica_healthy"} | {
    f"ray_node_{name}" for name in ("disk_utilization_percentage", "mem_used", "mem_total")
}
"""Metrics that Ray records itself."""
ADDED = {"le", "deployment", "ray_io_cluster"}
"""Labels that Prometheus, Ray and the PodMonitors add."""


def metric_of(name: str) -> Counter | Gauge | Histogram:
    found = [one for one in METRICS if re.fullmatch(rf"ray_{one.name}(_bucket|_count)?", name)]
    assert found, f"{name} is not declared in acestep_ray/metrics.py"
    assert isinstance(found[0], Counter | Gauge | Histogram)
    return found[0]


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_metric_is_declared_and_used_as_what_it_is(where: str) -> None:
    for expr in EXPRESSIONS[where]:
        names = re.findall(r"\bray_[a-z_]+(?=[{\[)\s]|$)", expr)
        assert names, expr
        for name in set(names) - RAYS - {"ray_io_cluster"}:
            metric = metric_of(name)
            rated = re.findall(rf"(rate|increase)\({name}\b", expr)
            uses = len(re.findall(rf"\b{name}\b(?!\")", expr))
            assert len(rated) == (0 if isinstance(metric, Gauge) else uses), expr
            assert name.endswith("_bucket") is isinstance(metric, Histogram)


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_every_label_exists(where: str) -> None:
    for expr in EXPRESSIONS[where]:
        names = set(re.findall(r"\bray_[a-z_]+(?=\{)", expr)) - RAYS
        known = ADDED | {label for name in names for label in metric_of(name).labels}
        if names:
            used = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expr)
            grouped = [part for by in re.findall(r"by \(([^)]*)\)", expr) for part in by.split(",")]
            assert {*used, *(label.strip() for label in grouped)} <= known, expr


def test_every_panel_explains_itself() -> None:
    titles = [panel.title for panel in PANELS]
    assert len(set(titles)) == len(titles)
    for panel in PANELS:
        assert panel.row and panel.unit and panel.queries
        assert panel.description.endswith("."), panel.title
        assert {query.legend for query in panel.queries} != {""}, panel.title


def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    queries = [query for panel in PANELS for query in panel.queries]
    rules = [{"record": "some:panel", "expr": query.for_prometheus("1m")} for query in queries]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    command = ["promtool", "check", "rules", "--lint=none", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_series_is_named_by_its_labels() -> None:
    query = Query("sum by (kind) (x)", "{{kind}}: {{stage}}")
    assert query.name({"kind": "decoder", "stage": "vae"}) == "decoder: vae"


def test_no_panel_lies_on_another() -> None:
    def cells(panel: Panel) -> set[tuple[int, int]]:
        x, y, width, height = panel.place
        assert x + width <= 24
        return {(x + i, y + j) for i in range(width) for j in range(height)}

    for one, other in combinations(PANELS, 2):
        assert not cells(one) & cells(other), f"{one.title} and {other.title}"


def test_every_metric_is_on_the_dashboard_or_known_to_be_left_out() -> None:
    """A metric that nobody sees is not worth its cost."""
    shown = " ".join(expr for found in EXPRESSIONS.values() for expr in found)
    hidden = {metric.name for metric in METRICS if f"ray_{metric.name}" not in shown}
    assert hidden == {"acestep_device_memory_peak_bytes"}  # only decoders with a GPU


def test_the_rules_are_right() -> None:
    command = ["promtool", "check", "rules", "--lint=all", "--lint-fatal", str(ALERTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    shutil.copy(ALERTS, tmp_path)
    cases = Path(__file__).with_name("alerts_test.yaml")
    shutil.copy(cases, tmp_path)
    command = ["promtool", "test", "rules", cases.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tested = cases.read_text()
    for rule in RULES:
        assert rule["alert"] in tested, f"no case for {rule['alert']}"


def test_every_alert_is_explained() -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    for rule in RULES:
        assert rule["alert"].startswith("Acestep")
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert f"`{rule['alert']}`" in page.split("## Alerts")[1], rule["alert"]


def test_the_operator_gets_the_same_rules_and_grafana_the_dashboard() -> None:
    manifests = {m["metadata"]["name"]: m for m in built("overlays/ha")}
    rules = [m for m in manifests.values() if m["kind"] == "PrometheusRule"]
    assert [one["spec"] for one in rules] == [yaml.safe_load(ALERTS.read_text())]
    dashboard = manifests["acestep-dashboard"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert dashboard["data"] == {"acestep-ray.json": (MONITORING / "dashboard.json").read_text()}
