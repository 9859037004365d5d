"""Several planners side by side: each job goes to that of its model, which starts if necessary."""

from tests.integration.slow_engines.conftest import LARGE, SMALL
from tests.service import Service

SONG = {"caption": "a song", "audio_duration": 10, "batch_size": 1, "use_5hz_lm": True}


def states(service: Service) -> dict[str, str]:
    planners = service.http.get("/v1/models").json()["planners"]
    return {planner["name"]: planner["state"] for planner in planners}


def test_each_model_plans_its_own_jobs_and_one_that_rests_is_started(service: Service) -> None:
    assert states(service) == {SMALL: "ready", LARGE: "idle"}
    waits = [service.submit(**SONG, lm_model_path=LARGE) for _ in range(2)]
    # Jobs that wait for a planner to start do not keep other jobs from running.
    quick = service.make(**SONG)
    assert f"Planner: {SMALL}" in quick["result"]["generation_info"]
    for job_id in waits:
        job = service.finish(job_id)
        assert job["status"] == "succeeded", job
        assert f"Planner: {LARGE}" in job["result"]["generation_info"]
        assert job["attempts"] == 1
    assert states(service) == {SMALL: "ready", LARGE: "ready"}
