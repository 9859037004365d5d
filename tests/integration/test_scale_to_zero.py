"""Replicas without work are stopped, and start again for the first job that needs them."""

from collections.abc import Iterator

import pytest

from tests.service import Service, running, until

REPLICA = "ray::ServeReplica:acestep:"
SONG = {"caption": "a song", "audio_duration": 10, "batch_size": 1, "audio_format": "wav"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {
        "ACESTEP_SCALING__PLANNER__MIN_REPLICAS": "0",
        "ACESTEP_SCALING__DECODER__MIN_REPLICAS": "0",
        "ACESTEP_SCALING__IDLE_SECONDS": "3",
        "ACESTEP_MOCK__STEP_SECONDS": "0.2",
    }
    with running(tmp_path_factory.mktemp("zero") / "data", environment) as service:
        yield service


def gone(service: Service, deployment: str) -> bool:
    return not service.processes(REPLICA + deployment)


def states(service: Service) -> set[str]:
    return {p["state"] for p in service.http.get("/v1/models").json()["planners"]}


def test_idle_stages_rest_and_a_job_wakes_them(service: Service) -> None:
    for _ in range(2):  # first nothing is known, then there are no replicas
        job = service.make(**SONG, use_5hz_lm=True)
        assert job["attempts"] == 1
        until(lambda: gone(service, "Decoder"), "the decoder did not rest")
        until(lambda: gone(service, "Planner"), "the planner did not rest")
        # A service without replicas is ready: it accepts jobs.
        assert service.http.get("/ready").status_code == 200
        # Serve notices the end of a process a moment after it.
        until(lambda: states(service) == {"idle"}, "the planner is not shown as idle")


def test_a_job_longer_than_the_idle_time_is_not_cut(service: Service) -> None:
    job = service.make(**SONG, inference_steps=40)  # 8 s at a decoder
    assert job["attempts"] == 1


def test_a_job_waits_in_the_queue_while_an_engine_starts(service: Service) -> None:
    """No engine has it, so no timeout runs, and it ends at once when it is cancelled."""
    until(lambda: gone(service, "Decoder"), "the decoder did not rest")
    cancelled, waiting = service.submit(**SONG), service.submit(**SONG)
    answer = service.http.post(f"/v1/jobs/{cancelled}/cancel")
    assert answer.json()["error_code"] == "cancelled"
    seen = service.job(waiting)
    assert (seen["status"], seen["queue_position"]) == ("queued", 1)
    assert seen["eta_seconds"] > 0
    assert service.finish(waiting)["attempts"] == 1
    assert service.job(cancelled)["attempts"] == 0


def test_a_request_for_a_text_wakes_a_planner(service: Service) -> None:
    """It waits at the planner's handle: no job is in the store for it."""
    for _ in range(2):
        until(lambda: gone(service, "Planner"), "the planner did not rest")
        answer = service.http.post("/v1/create_sample", json={"query": "a calm song"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["lyrics"]
