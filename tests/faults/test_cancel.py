"""A client cancels a job: the engine stops within a step, and the next job gets it."""

from tests.faults.drill import Drill
from tests.service import Service, until


def cancel(service: Service, job_id: str) -> dict[str, object]:
    answer = service.http.post(f"/v1/jobs/{job_id}/cancel")
    assert answer.status_code == 200, answer.text
    job: dict[str, object] = answer.json()
    assert (job["status"], job["error_code"]) == ("failed", "cancelled")
    return job


def test_a_running_job_is_cancelled_and_frees_its_engine(service: Service) -> None:
    # Six long jobs fill all slots of the decoders, and more; a short job waits behind them.
    drill = Drill(service, 6, inference_steps=200)
    drill.until_running("diffusion")
    waiting = service.submit(audio_duration=1, batch_size=1)
    for job_id in drill.ids:
        cancel(service, job_id)
        cancel(service, job_id)  # a second cancel is not an error
    # Six times 200 steps of 0.1 s on two decoders would have made it wait for a minute.
    ended = service.finish(waiting, 45)
    assert ended["status"] == "succeeded", ended
    jobs = drill.all_end()
    assert {job["error_code"] for job in jobs} == {"cancelled"}
    left = [p for j in drill.ids for p in (service.data / "artifacts").rglob(f"{j}/**/*.wav")]
    assert left == []


def test_a_planning_job_is_cancelled(service: Service) -> None:
    drill = Drill(service, 1, use_5hz_lm=True, audio_duration=600)
    drill.until_running("codes")
    cancel(service, drill.ids[0])
    until(lambda: service.http.get("/v1/stats").json()["running"] == 0, "the job is still running")
    (job,) = drill.all_end()
    assert job["error_code"] == "cancelled"
    ended = service.make(audio_duration=1)["job_id"]
    assert service.http.post(f"/v1/jobs/{ended}/cancel").status_code == 409


def test_a_deleted_job_is_gone_with_its_audio(service: Service) -> None:
    job = service.make(audio_duration=1)
    url = f"/v1/jobs/{job['job_id']}"
    assert service.http.delete(url).status_code == 204
    assert service.http.get(url).status_code == 410
    assert service.http.delete(url).status_code == 410
    assert service.http.get(job["result"]["first_audio_path"]).status_code == 410
    folder = service.data / "artifacts" / "takes" / job["job_id"]
    assert not folder.exists()
    running = service.submit(audio_duration=1, inference_steps=200)
    until(lambda: service.job(running)["status"] == "running", "the job did not start")
    assert service.http.delete(f"/v1/jobs/{running}").status_code == 204
    assert service.http.get(f"/v1/jobs/{running}").status_code == 410
