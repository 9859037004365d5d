"""A real Prometheus scrapes a service with work of every kind: no panel is empty, and every alert
asks for what exists."""

import math
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from acestep_ray.metrics import METRICS, Histogram
from scripts.dashboard_load import RULES, song
from scripts.dashboard_panels import Query, panels
from tests.prometheus import Prometheus
from tests.service import Service, until
from tests.webhook_receiver import Receiver, Reply, receiving

WINDOW = "2m"
"""Of rates. Ray's agent gets new values every 10 s."""
QUERIES = [(panel.title, query) for panel in panels() for query in panel.queries]
MAY_BE_EMPTY = {"acestep_device_memory_peak_bytes"}  # only decoders with a GPU record it


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        replies = iter([Reply(500)])
        receiver.reply = lambda _: next(replies, Reply())
        yield receiver


@pytest.fixture(scope="module")
def prometheus(
    service: Service, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """It has seen two rounds of work: Prometheus sees a rise only in a series that it knows."""
    folder = tmp_path_factory.mktemp("prometheus")
    with Prometheus(folder, [service.metrics_port], [RULES]) as prometheus:
        stream = threading.Thread(target=follow, args=(service,), daemon=True)
        stream.start()
        for number in (1, 2):
            work(service, receiver)
            ended = 'sum(ray_acestep_jobs_ended_total{status="succeeded"})'
            stages = "count(ray_acestep_stage_time_seconds_total)"
            until(
                lambda: (prometheus.value(ended) or 0) >= 3 * number and prometheus.value(stages),
                "Prometheus does not see the jobs",
            )
        yield prometheus


def follow(service: Service) -> None:
    """Hold an event stream open until the service ends."""
    try:
        with httpx.stream("GET", f"{service.url}/v1/events", timeout=60) as stream:
            for _ in stream.iter_lines():
                pass
    except httpx.HTTPError:
        pass


def work(service: Service, receiver: Receiver) -> None:
    """One job of each kind that the dashboard can tell apart, and requests that are refused."""
    hook = {"webhook_url": f"{receiver.url}/hook"}
    short = {"caption": "a tune", "audio_duration": 10, "batch_size": 1}
    planned = service.submit(**short, **hook, thinking=True)
    plain = service.submit(**short)
    form = {"task_type": "cover", "batch_size": "1"}
    answer = service.http.post(
        "/v1/music/generate", data=form, files={"src_audio": ("song.wav", song(), "audio/wav")}
    )
    cover = answer.raise_for_status().json()["job_id"]
    cancelled = service.submit(**short)
    service.http.post(f"/v1/jobs/{cancelled}/cancel").raise_for_status()
    refused = service.http.post("/v1/music/generate", content=b"{")
    assert refused.status_code == 400
    assert service.http.get("/nowhere").status_code == 404
    for job_id in (planned, plain, cover):
        assert service.finish(job_id)["status"] == "succeeded"


def missing(prometheus: Prometheus, query: Query) -> bool:
    """Whether a query has no number now."""
    found = prometheus.query(query.for_prometheus(WINDOW))
    return not any(math.isfinite(value) for _, value in found)


def test_no_panel_is_empty(prometheus: Prometheus) -> None:
    def all_have_data() -> bool:
        return not any(missing(prometheus, query) for _, query in QUERIES)

    try:
        until(all_have_data, "panels are empty", patience=60)
    except AssertionError:
        empty = [f"{title}: {query.expr}" for title, query in QUERIES if missing(prometheus, query)]
        raise AssertionError("\n".join(empty)) from None


def test_every_alert_asks_for_metrics_that_exist(prometheus: Prometheus) -> None:
    groups = prometheus.rules()
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 10
    for rule in rules:
        assert rule["health"] == "ok", rule
        for name in set(re.findall(r"\bray_[a-z_]+(?=[{\[)\s])", rule["query"])):
            assert name == "ray_io_cluster" or prometheus.query(f"count({name})"), name
    assert prometheus.alerts() == {}


def test_every_metric_is_exported_with_its_labels(prometheus: Prometheus) -> None:
    for metric in METRICS:
        name = f"ray_{metric.name}" + ("_bucket" if isinstance(metric, Histogram) else "")
        series = prometheus.query(name)
        assert series or metric.name in MAY_BE_EMPTY, name
        for labels, _ in series:
            assert set(metric.labels) <= set(labels), name


def test_what_is_counted_is_what_happened(prometheus: Prometheus, service: Service) -> None:
    """Jobs of other tests count too, so the service's own numbers are the measure."""
    stats = service.http.get("/v1/stats").json()
    succeeded = 'sum(ray_acestep_jobs_ended_total{status="succeeded"})'
    cancelled = 'sum(ray_acestep_jobs_ended_total{code="cancelled"})'

    assert prometheus.value(succeeded) == stats["jobs"]["succeeded"], stats
    assert (prometheus.value(cancelled) or 0) >= 2
    assert prometheus.value("max(ray_acestep_store_up)") == 1
    for kind in ("planner", "decoder"):
        assert (prometheus.value(f'sum(ray_acestep_replicas{{kind="{kind}"}})') or 0) >= 1
        busy = prometheus.value(f'sum(ray_acestep_device_busy_seconds_total{{kind="{kind}"}})')
        assert busy and busy > 0


def test_no_path_of_a_client_is_a_label(prometheus: Prometheus, service: Service) -> None:
    routes = {labels["route"] for labels, _ in prometheus.query("ray_acestep_http_requests_total")}
    documented = set(service.http.get("/openapi.json").json()["paths"])
    assert "other" in routes
    assert routes - documented <= {"other", "/docs", "/openapi.json"}
    assert "/v1/jobs/{job_id}" in routes


def test_the_names_in_the_documentation_are_those_that_exist() -> None:
    page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()
    table = page.split("### What is measured")[1].split("## Dashboard")[0]
    named = set(re.findall(r"`(acestep_\w+)`", table))
    assert named == {metric.name for metric in METRICS}
