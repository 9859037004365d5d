"""The port: free, used by something else, or by the service itself."""

import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.startup.doctor.result import Level
from tests.service import free_port
from tests.unit.startup.doctor.conftest import Doctor

HEALTH = b'{"service": "acestep-ray", "version": "0.1.0"}'
NOT_READY = b'{"ready": false, "reasons": ["No decoder is up."]}'


class Service:
    """What the service answers, without the service."""

    def __init__(self) -> None:
        self.health, self.ready, self.status = HEALTH, b'{"ready": true, "reasons": []}', 200
        outer = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                of_health = self.path == "/health"
                self.send_response(200 if of_health else outer.status)
                self.end_headers()
                self.wfile.write(outer.health if of_health else outer.ready)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", free_port()), Answers)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def service(doctor: Doctor) -> Iterator[Service]:
    service = Service()
    doctor.http["port"] = service.port
    yield service
    service.server.shutdown()
    service.server.server_close()


@pytest.fixture
def data_in_use(doctor: Doctor) -> Iterator[Path]:
    path = doctor.folder / "data" / "jobs.sqlite"
    store = SqliteStore(path)
    yield path
    store.close()


def test_a_free_port_is_well(doctor: Doctor) -> None:
    doctor.http["port"] = free_port()
    assert any("is free" in found.message for found in doctor.check("port"))


def test_a_used_port_is_a_problem(doctor: Doctor) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()  # it accepts, and never answers
        doctor.http["port"] = port = other.getsockname()[1]
        message = doctor.problem("port")
        assert f"port {port} on 127.0.0.1 cannot be used" in message
        assert f"by process {os.getpid()}, " in message


@pytest.mark.usefixtures("data_in_use")
def test_the_running_service_has_no_problem_with_itself(doctor: Doctor, service: Service) -> None:
    assert doctor.well("port").endswith(f"runs at http://127.0.0.1:{service.port}, ready")
    assert doctor.well("job store")


@pytest.mark.usefixtures("data_in_use")
def test_a_service_that_is_not_ready_gives_its_reasons(doctor: Doctor, service: Service) -> None:
    service.ready, service.status = NOT_READY, 503
    assert "runs but is not ready: No decoder is up. If" in doctor.warning("port")


def test_a_service_with_other_data_is_a_problem(doctor: Doctor, service: Service) -> None:
    assert "another service of this kind" in doctor.problem("port")


def test_another_program_is_not_taken_for_the_service(doctor: Doctor, service: Service) -> None:
    service.health = b'{"service": "another"}'
    assert "stop what listens there" in doctor.problem("port")
    service.health = b"<html>"
    assert "stop what listens there" in doctor.problem("port")


def test_ports_that_others_may_get_are_a_warning(doctor: Doctor) -> None:
    doctor.http["port"] = 19_998
    assert "choose one below 10000 with ACESTEP_PORT" in doctor.warning("port")
    doctor.http["port"] = 9998
    doctor.args["metrics_port"] = 19_998
    assert "choose one below 10000 with ACESTEP_METRICS_PORT" in doctor.warning("port")


def test_haproxy_needs_more_ports(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    for variable in ("FALLBACK_PROXY_HTTP", "HAPROXY_STATS", "HAPROXY_METRICS"):
        monkeypatch.setenv(f"RAY_SERVE_{variable}_PORT", str(free_port()))
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("RAY_SERVE_HAPROXY_STATS_PORT", str(port))
        assert f"port {port}, which HAProxy needs" in doctor.problem("port")


def test_a_proxy_for_this_machine_is_a_warning(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor.http["port"] = 9998
    monkeypatch.setenv("http_proxy", "http://proxy.example.com:3128")
    assert "set no_proxy=localhost,127.0.0.1" in doctor.one("port", Level.WARNING)
    monkeypatch.setenv("NO_PROXY", ".example.com, localhost")
    assert Level.WARNING not in {found.level for found in doctor.check("port")}
