"""Traces that nobody receives are lost without a word to the client."""

import socket

from tests.service import free_port
from tests.unit.startup.doctor.conftest import Doctor


def test_no_traces_are_well(doctor: Doctor) -> None:
    assert doctor.well("traces") == "none are sent"


def test_a_collector_that_is_away_is_a_warning(doctor: Doctor) -> None:
    port = free_port()
    doctor.args["tracing"] = {"endpoint": f"http://127.0.0.1:{port}"}
    assert f"the collector at 127.0.0.1:{port} cannot be reached" in doctor.warning("traces")
    with socket.socket() as collector:
        collector.bind(("127.0.0.1", port))
        collector.listen()
        assert doctor.well("traces").endswith("which can be reached")
