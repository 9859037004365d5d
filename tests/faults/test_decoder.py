"""A decoder replica is killed during a decode: its jobs are tried again, with the same plan."""

from tests.faults.drill import Drill
from tests.service import Service, until


def test_decoder(service: Service, jobs: int, table: dict[str, float]) -> None:
    drill = Drill(service, jobs, use_5hz_lm=True, audio_duration=10)
    drill.until_running("diffusion")
    table["decoder replicas, in mid-decode"] = drill.recovery(
        lambda: service.kill("ray::ServeReplica:acestep:Decoder")
    )
    assert max(job["attempts"] for job in drill.all_succeed()) == 2


def test_a_job_that_kills_its_worker_each_time_fails(service: Service) -> None:
    """Three times, then the job fails as worker_lost; no other job is affected."""
    drill = Drill(service, 1, inference_steps=100)
    for attempt in (1, 2, 3):
        (job_id,) = drill.ids

        def runs(attempt: int = attempt, job_id: str = job_id) -> bool:
            job = drill.last.get(job_id)
            return job is not None and (job["status"], job["attempts"]) == ("running", attempt)

        until(runs, f"attempt {attempt} did not start")
        service.kill("ray::ServeReplica:acestep:Decoder")
    (job,) = drill.all_end()
    assert (job["status"], job["error_code"]) == ("failed", "worker_lost")
    assert service.make(audio_duration=1)["attempts"] == 1
