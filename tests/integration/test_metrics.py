"""A real Prometheus scrapes a service with work of every kind: no panel is empty, and every alert
asks for what exists."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from acestep_ray.metrics import METRICS, Histogram
from scripts.dashboard_load import RULES, song
from scripts.dashboard_panels import panels
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
    """It has seen two rounds of work: Prometheus sees a rise only in a series that it knows. It
    scrapes before the first round: other tests may have made every series already."""
    folder = tmp_path_factory.mktemp("prometheus")
    with Prometheus(folder, [service.metrics_port], [RULES]) as prometheus:
        stream = threading.Thread(target=follow, args=(service,), daemon=True)
        stream.start()
        until(partial(prometheus.query, "up == 1"), "Prometheus has not scraped the service")
        for number in (1, 2):
            work(service, receiver)
            # The seven stages of the jobs, of which the last one ends with the last job.
            done = (
                f'sum(ray_acestep_jobs_ended_total{{status="succeeded"}}) >= {3 * number}'
                f' and sum(ray_acestep_stage_seconds_count{{stage="storing"}}) >= {3 * number}'
                f' and sum(ray_acestep_stage_seconds_count{{stage="codes"}}) >= {number}'
                f" and sum(ray_acestep_webhook_seconds_count) >= {number}"
            )
            until(partial(prometheus.query, done), f"Prometheus does not see {done}")
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
    assert refused.status_code == 415
    assert service.http.get("/nowhere").status_code == 404
    for job_id in (planned, plain, cover):
        assert service.finish(job_id)["status"] == "succeeded"


def test_no_panel_is_empty(prometheus: Prometheus) -> None:
    empty = [(title, query) for title, query in QUERIES]

    def all_have_data() -> bool:
        empty[:] = [
            (title, query)
            for title, query in empty
            if not prometheus.has_data(query.for_prometheus(WINDOW))
        ]
        return not empty

    try:
        until(all_have_data, "panels are empty", patience=60)
    except AssertionError:
        raise AssertionError([f"{title}: {query.expr}" for title, query in empty]) from None


def test_every_alert_asks_for_metrics_that_exist(prometheus: Prometheus) -> None:
    groups = prometheus.rules()
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 10
    for rule in rules:
        assert rule["health"] == "ok", rule
        for name in set(re.findall(r"\bray_[a-z_]+(?=[{\[)\s])", rule["query"])):
            assert name == "ray_io_cluster" or prometheus.has_data(f"count({name})"), name
    assert "firing" not in prometheus.alerts().values()


def test_every_metric_is_exported_with_its_labels(prometheus: Prometheus) -> None:
    for metric in METRICS:
        name = f"ray_{metric.name}" + ("_bucket" if isinstance(metric, Histogram) else "")
        series = prometheus.query(f"last_over_time({name}[2m])")
        assert series or metric.name in MAY_BE_EMPTY, name
        for labels, _ in series:
            assert set(metric.labels) <= set(labels), name


def test_what_is_counted_is_what_happened(
    prometheus: Prometheus, service: Service, receiver: Receiver
) -> None:
    """Only what is added is compared: a process that is killed takes with it what it has counted in
    its last seconds, and other tests kill the job store actor."""

    def counts() -> dict[str, float]:
        found = {}
        for status in ("succeeded", "failed"):
            expr = f'sum(last_over_time(ray_acestep_jobs_ended_total{{status="{status}"}}[2m]))'
            found[status] = sum(value for _, value in prometheus.query(expr))
        return found

    def settled() -> dict[str, float]:
        """The counts, once they no longer rise; values arrive up to 10 seconds late."""
        seen = [counts()]

        def unchanged() -> bool:
            seen.append(counts())
            return len(seen) > 100 and seen[-1] == seen[-100]

        until(unchanged, "the counts do not settle")
        return seen[-1]

    before = settled()
    work(service, receiver)  # three that succeed, and one that is cancelled
    expected = {"succeeded": before["succeeded"] + 3, "failed": before["failed"] + 1}
    until(lambda: counts() == expected, f"not {expected}")
    assert settled() == expected
    for expr in (
        'sum(last_over_time(ray_acestep_jobs_ended_total{code="cancelled"}[2m])) >= 2',
        "max(last_over_time(ray_acestep_store_up[2m])) == 1",
        'sum(last_over_time(ray_acestep_replicas{kind="planner"}[2m])) >= 1',
        'sum(last_over_time(ray_acestep_replicas{kind="decoder"}[2m])) >= 1',
        'sum(last_over_time(ray_acestep_device_busy_seconds_total{kind="planner"}[2m])) > 0',
        'sum(last_over_time(ray_acestep_device_busy_seconds_total{kind="decoder"}[2m])) > 0',
    ):
        assert prometheus.query(expr), expr


def test_no_path_of_a_client_is_a_label(prometheus: Prometheus, service: Service) -> None:
    requests = prometheus.query("last_over_time(ray_acestep_http_requests_total[2m])")
    routes = {labels["route"] for labels, _ in requests}
    documented = set(service.http.get("/openapi.json").json()["paths"])
    assert "other" in routes
    assert routes - documented <= {"other", "/docs", "/openapi.json"}
    assert "/v1/jobs/{job_id}" in routes


def test_the_names_in_the_documentation_are_those_that_exist() -> None:
    page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()
    table = page.split("### What is measured")[1].split("## Dashboard")[0]
    named = set(re.findall(r"`(acestep_\w+)`", table))
    assert named == {metric.name for metric in METRICS}
