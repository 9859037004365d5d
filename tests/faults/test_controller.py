"""The Serve controller is killed: jobs and polls continue without it, and Ray restarts it."""

from tests.faults.drill import Drill
from tests.service import Service


def test_controller(service: Service, jobs: int, table: dict[str, float]) -> None:
    drill = Drill(service, jobs)
    drill.until_running()
    table["Serve controller"] = drill.recovery(lambda: service.kill("ray::ServeController"))
    assert {job["attempts"] for job in drill.all_succeed()} == {1}
