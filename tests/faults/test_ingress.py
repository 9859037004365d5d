"""The ingress replica is killed: it holds no job, and Serve starts another."""

from tests.faults.drill import Drill
from tests.service import Service


def test_ingress(service: Service, jobs: int, table: dict[str, float]) -> None:
    drill = Drill(service, jobs)
    drill.until_running()
    table["ingress replica"] = drill.recovery(
        lambda: service.kill("ray::ServeReplica:acestep:Ingress")
    )
    assert {job["attempts"] for job in drill.all_succeed()} == {1}
