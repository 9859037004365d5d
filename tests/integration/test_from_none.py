"""No replica is there when the job comes: it waits in the queue, and that starts one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.service import ROOT, Service, running, until

SONG = {"caption": "a song", "audio_duration": 10, "batch_size": 1, "audio_format": "wav"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The shipped config, but with no engine while there is no work."""
    document = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    for deployment in document["applications"][0]["deployments"]:
        if deployment["name"] in ("Planner", "Decoder"):
            deployment["ray_actor_options"] = {"num_cpus": 0}
            deployment["autoscaling_config"] |= {"min_replicas": 0, "downscale_delay_s": 2}
    data: Path = tmp_path_factory.mktemp("none") / "data"
    with running(data, {}, document) as service:
        yield service


@pytest.fixture(autouse=True)
def at_rest(service: Service) -> None:
    """No engine is up."""
    until(lambda: not engines(service), "the engines did not go to rest", 120)


def engines(service: Service) -> list[int]:
    """Processes of engine replicas."""
    return service.processes("acestep:Decoder") + service.processes("acestep:Planner")


def test_a_service_whose_engines_rest_is_ready_and_tells_what_it_has(service: Service) -> None:
    assert service.http.get("/ready").status_code == 200
    models = service.http.get("/v1/models").json()
    assert [decoder["mock"] for decoder in models["decoders"]] == [True]
    assert {planner["state"] for planner in models["planners"]} == {"idle"}


def test_a_job_waits_in_the_queue_until_it_has_woken_an_engine(service: Service) -> None:
    job_id = service.submit(**SONG, use_5hz_lm=True)
    waiting = service.job(job_id)
    assert (waiting["status"], waiting["queue_position"]) == ("queued", 1)
    assert waiting["eta_seconds"] > 0
    job = service.finish(job_id)
    assert (job["status"], job["attempts"]) == ("succeeded", 1)


def test_a_job_that_waits_for_an_engine_is_let_go_at_once(service: Service) -> None:
    cancelled, other = service.submit(**SONG), service.submit(**SONG)
    answer = service.http.post(f"/v1/jobs/{cancelled}/cancel")
    assert answer.json()["error_code"] == "cancelled"
    assert service.finish(other)["status"] == "succeeded"
    assert service.job(cancelled)["attempts"] == 0  # no engine ever had it
