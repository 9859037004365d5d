"""One service for the folder, with two planners; its engines take as long as those on a GPU."""

import json
from collections.abc import Iterator

import pytest

from tests.service import Service, running

SMALL, LARGE = "acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-4B"
STEP_SECONDS = 0.2
IDLE_SECONDS = 5
"""The tests' proxy cuts after this time; the events of a stream come more often."""


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The shipped config, with two planners; the second has no replica until a job needs it."""
    planners = [
        {"model": SMALL, "backend": "mock"},
        {"model": LARGE, "backend": "mock", "min_replicas": 0},
    ]
    environment = {
        "ACESTEP_PLANNERS": json.dumps(planners),
        "ACESTEP_MOCK__TOKEN_SECONDS": "0.01",
        "ACESTEP_MOCK__STEP_SECONDS": str(STEP_SECONDS),
        "ACESTEP_EVENTS__HEARTBEAT_SECONDS": str(IDLE_SECONDS / 2.5),
    }
    with running(tmp_path_factory.mktemp("slow") / "data", environment) as service:
        yield service
