"""Each of Ray's own processes is killed: what Ray does not restart, `acestep-ray serve` restarts.

Without its GCS or its raylet (whose death also ends its two agents) a node is dead. It used to stay
dead while the command continued: no service on the port, jobs that never ended. If any other
process of Ray dies, jobs continue and nothing is restarted for it.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.conftest import store_environment
from tests.faults.drill import Drill
from tests.service import Service, running, until

TAKE_THE_NODE = {
    "Ray's GCS": "gcs/gcs_server",
    "Ray's raylet": "raylet/raylet",
    "Ray's dashboard agent": "ray::DashboardAgent",
    "Ray's runtime env agent": "ray::RuntimeEnvAgent",
    "`serve run`": "deployments.serve_run",
}
DO_NOT = {
    "Ray's dashboard's modules": "ray-dashboard-",
    "Ray's dashboard": "dashboard/dashboard.py",
    "Ray's log monitor": "log_monitor.py",
    "Ray's autoscaler": "autoscaler/_private/monitor.py",
    "Serve proxy": "ray::ProxyActor",
    "Serve controller, beside them": "ray::ServeController",
}
ANEW = "starting again in 1 s"


@pytest.fixture(scope="module")
def service(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    config: dict[str, Any],
    mock_engines: dict[str, str],
    store: str,
) -> Iterator[Service]:
    """A service whose node dies several times; started as on a machine with other Ray clusters."""
    folder = tmp_path_factory.mktemp("a folder too long for sockets")
    environment = {
        "ACESTEP_DASHBOARD": "true",
        "ACESTEP_RESTARTS__HEALTHY_SECONDS": "1e-9",
        "RAY_ADDRESS": "192.0.2.1:6379",
        "TMPDIR": str(folder),
    }
    environment |= mock_engines | store_environment(request, store, 1)
    with running(folder / "data", environment, config) as service:
        yield service


@pytest.mark.parametrize("what", DO_NOT)
def test_jobs_run_on(service: Service, jobs: int, table: dict[str, float], what: str) -> None:
    before = service.log.read_text().count(ANEW)
    drill = Drill(service, jobs)
    drill.until_running()
    table[what] = drill.recovery(lambda: service.kill(DO_NOT[what]))
    assert {job["attempts"] for job in drill.all_succeed()} == {1}
    assert service.log.read_text().count(ANEW) == before


@pytest.mark.parametrize("what", TAKE_THE_NODE)
def test_a_new_node_takes_over(
    service: Service, jobs: int, table: dict[str, float], what: str
) -> None:
    before = service.log.read_text().count(ANEW)
    drill = Drill(service, jobs)
    drill.until_running()
    old = service.processes()

    def kill() -> None:
        service.kill(TAKE_THE_NODE[what])
        until(lambda: service.log.read_text().count(ANEW) > before, "its death was not noticed")

    table[what] = drill.recovery(kill)
    assert not set(old) & set(service.processes())
    assert max(job["attempts"] for job in drill.all_succeed()) <= 2
    assert service.log.read_text().count(ANEW) == before + 1
