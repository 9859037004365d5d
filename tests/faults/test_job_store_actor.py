"""The job store actor is killed: Ray restarts it, and all its state is on disk."""

from tests.faults.drill import Drill
from tests.service import Service


def test_job_store_actor(service: Service, jobs: int, table: dict[str, float]) -> None:
    drill = Drill(service, jobs)
    drill.until_running()
    table["job store actor"] = drill.recovery(lambda: service.kill("ray::JobStoreActor"))
    # The other processes wait for the store: each job needed one attempt.
    assert {job["attempts"] for job in drill.all_succeed()} == {1}
