"""The runner replica is killed: its jobs go back to their places when its lease has expired.

The decodes that it began continue without a caller: they must notice that and stop, otherwise a GPU
works for nothing.
"""

import httpx

from tests.faults.drill import Drill
from tests.service import Service, until


def requeued(service: Service) -> float:
    """How many jobs went back to the queue, by the service's metrics."""
    metrics = httpx.get(f"http://127.0.0.1:{service.metrics_port}/metrics", timeout=30).text
    lines = [x for x in metrics.splitlines() if x.startswith("ray_acestep_jobs_requeued_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def test_runner(service: Service, jobs: int, table: dict[str, float]) -> None:
    before = requeued(service)
    drill = Drill(service, jobs)
    drill.until_running()
    table["runner replica"] = drill.recovery(
        lambda: service.kill("ray::ServeReplica:acestep:Runner")
    )
    assert max(job["attempts"] for job in drill.all_succeed()) <= 2
    until(lambda: requeued(service) > before, "no metric counts the jobs that were requeued")


def test_an_orphaned_decode_stops(service: Service) -> None:
    """200 steps of 0.1 s: a whole decode needs 20 s; the orphan stops long before."""
    drill = Drill(service, 1, inference_steps=200)
    (job_id,) = drill.ids
    drill.until_running("diffusion")
    service.kill("ray::ServeReplica:acestep:Runner")
    word = f"Stopped: job {job_id} is no longer attempt 1's"
    until(lambda: word in service.log.read_text(), "the orphaned decode went on")
    # Its second attempt has only run for a few steps.
    job = service.job(job_id)
    assert job["status"] in ("queued", "running")
    if job["progress"]:
        assert job["progress"]["step"] < 60
    assert drill.all_succeed()[0]["attempts"] == 2
