"""How `acestep-ray serve` starts Ray: it waits for slow nodes, and can leave the dashboard out."""

import os
import socket
from collections.abc import Iterator, Sequence

import pytest
import ray
from ray._private import services

from deployments import serve_run as module
from deployments.serve_run import serve_run, wait_longer_for_nodes

TIMEOUTS = ("RAY_agent_register_timeout_ms", "RAY_worker_register_timeout_seconds")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Replaces Ray's own query, and fails twice."""
    calls: list[str] = []

    def get_node(gcs_address: str, node_id: str) -> str:
        calls.append(node_id)
        if len(calls) <= 2:
            raise RuntimeError("No node with this id has registered.")
        return gcs_address

    monkeypatch.setattr(services, "get_node", get_node)

    def start_raylet(address: str, **options: object) -> tuple[dict[str, object], object]:
        return options, services.start_ray_process(["raylet"], "raylet")  # type: ignore[call-arg]

    monkeypatch.setattr(services, "start_raylet", start_raylet)
    monkeypatch.setattr(services, "start_ray_process", lambda command, kind: command)
    for name in TIMEOUTS:
        monkeypatch.setenv(name, "1000")  # and restored afterwards
        monkeypatch.delenv(name)
    yield calls


def test_a_slow_node_is_waited_for(calls: list[str]) -> None:
    wait_longer_for_nodes()
    assert services.get_node("address", "node") == "address"  # type: ignore[no-untyped-call]
    assert calls == ["node"] * 3
    assert [os.environ[name] for name in TIMEOUTS] == ["300000", "300"]


def test_a_node_that_never_comes_is_given_up(calls: list[str]) -> None:
    wait_longer_for_nodes(seconds=0)
    with pytest.raises(RuntimeError, match="No node with this id"):
        services.get_node("address", "node")  # type: ignore[no-untyped-call]


def test_a_node_need_not_wait_until_its_agents_write_their_ports(calls: list[str]) -> None:
    wait_longer_for_nodes()
    options, command = services.start_raylet(  # type: ignore[call-arg]
        "address",
        metrics_export_port=8080,
        metrics_agent_port=0,
        dashboard_agent_listen_port=52365,  # Ray's default, the same for every node
        huge_pages=False,
    )
    assert options["metrics_export_port"] == 8080  # the user's
    assert options["huge_pages"] is False
    ports = [options[name] for name in module.AGENT_PORTS]
    assert len({*ports}) == 4
    assert all(port in module.FREE_PORTS for port in ports if port != 8080)
    listen = options["dashboard_agent_listen_port"]
    assert listen in module.FREE_PORTS
    assert command == ["raylet", f"--dashboard_agent_listen_port={listen}"]
    other: object = services.start_ray_process(["log_monitor"], "log_monitor")  # type: ignore[call-arg]
    assert other == ["log_monitor"]


def test_a_port_for_metrics_is_what_prometheus_was_told(calls: list[str]) -> None:
    wait_longer_for_nodes(metrics_port=9464)
    options, _ = services.start_raylet("address", metrics_export_port=0)  # type: ignore[call-arg]
    assert options["metrics_export_port"] == 9464
    assert options["metrics_agent_port"] in module.FREE_PORTS


def test_a_port_that_is_used_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    used, free = module.free_ports(2)
    monkeypatch.setattr(module, "FREE_PORTS", [used, free])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", used))
        listener.listen()
        assert {module.free_ports(1)[0] for _ in range(20)} == {free}


@pytest.fixture
def started(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Replaces Ray and `serve run`: records with what they are started, in this order."""
    started: list[object] = []

    def init(*, address: str, namespace: str, include_dashboard: bool) -> None:
        started.append((address, namespace, include_dashboard))

    def cli(arguments: Sequence[str]) -> None:
        started.append(list(arguments))

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(module, "cli", cli)
    return started


def test_serve_run_starts_ray_by_itself(started: list[object]) -> None:
    serve_run(["config.yaml"])
    assert started == [["run", "config.yaml"]]


def test_a_port_for_metrics_reaches_ray_and_not_serve_run(started: list[object]) -> None:
    serve_run(["--metrics-port=9464", "config.yaml"])
    assert started == [["run", "config.yaml"]]
    options, _ = services.start_raylet("address")  # type: ignore[call-arg]
    assert options["metrics_export_port"] == 9464


def test_without_the_dashboard_ray_runs_before_serve_run(started: list[object]) -> None:
    serve_run(["--no-dashboard", "config.yaml"])
    assert started == [
        ("local", "serve", False),
        ["run", "--address", "auto", "config.yaml"],
    ]
