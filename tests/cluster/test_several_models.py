"""Two decoder models and two planners side by side, on four GPUs that are only numbers."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from acestep_ray.planner.mock.names import PUBLISHED
from tests.cluster.nodes import ClusterService, cluster_of
from tests.redis_server import RedisServer
from tests.service import ROOT, until

TURBO, BASE = "acestep-v15-turbo", "acestep-v15-base"
SMALL, LARGE = PUBLISHED[0], PUBLISHED[2]
SONG = {"caption": "a song", "audio_duration": 10, "batch_size": 1, "audio_format": "wav"}


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterService]:
    """The base model and the large LM rest while nobody asks for them."""
    folder = tmp_path_factory.mktemp("several")
    document: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    app = document["applications"][0]
    app["deployments"] = [d for d in app["deployments"] if d["name"] in ("Ingress", "Runner")]
    app["args"] |= {
        "data": str(folder / "data"),
        "artifacts": (folder / "audio").as_uri(),
        "artifacts_shared": True,  # both nodes are on this machine
        "mock": {"step_seconds": 0.1},
        "decoders": [
            {"model": TURBO, "backend": "mock", "num_gpus": 1, "max_replicas": 2},
            {
                "model": BASE,
                "backend": "mock",
                "num_gpus": 1,
                "min_replicas": 0,
                "max_replicas": 2,
            },
        ],
        "planners": [
            {"model": SMALL, "backend": "mock", "num_gpus": 0.5},
            {"model": LARGE, "backend": "mock", "num_gpus": 0.5, "min_replicas": 0},
        ],
        "scaling": {"target_seconds": 5, "idle_seconds": 3},
    }
    with RedisServer(folder / "redis") as redis, cluster_of(1, 4) as cluster:
        app["args"] |= {"store": redis.url}
        service = ClusterService(folder / "service", document, cluster)
        service.start()
        yield service
        service.stop()


def states(service: ClusterService) -> dict[str, str]:
    found = service.http.get("/v1/models").raise_for_status().json()
    return {one["name"]: one["state"] for one in (*found["decoders"], *found["planners"])}


def test_each_model_scales_by_its_own_jobs_and_gets_no_others(several: ClusterService) -> None:
    # It was up once, because only a replica can report what its model does.
    several.until_replicas(f"Decoder-{BASE}", 0)
    expected = {TURBO: "ready", BASE: "idle", SMALL: "ready", LARGE: "idle"}
    until(lambda: states(several) == expected, "the models are not as they should be")

    # 50 steps, as a base model makes them: five seconds each.
    slow = [several.submit(**SONG, model=BASE) for _ in range(16)]
    several.until_replicas(f"Decoder-{BASE}", 2)
    assert len(several.replicas(f"Decoder-{TURBO}")) == 1
    # Jobs of another model do not wait behind them.
    quick = several.make(**SONG)
    assert f"({TURBO}) on" in quick["result"]["generation_info"]
    waiting = [job_id for job_id in slow if several.job(job_id)["status"] == "queued"]
    assert waiting, "the slow jobs ended before the quick one"
    assert several.job(waiting[-1])["eta_seconds"] > 0
    for job_id in slow:
        job = several.finish(job_id)
        assert (job["status"], job["attempts"]) == ("succeeded", 1), job
        assert f"({BASE}) on" in job["result"]["generation_info"]
    several.until_replicas(f"Decoder-{BASE}", 0)
    assert len(several.replicas(f"Decoder-{TURBO}")) == 1


def test_any_planner_plans_for_any_decoder(several: ClusterService) -> None:
    for model in (TURBO, BASE):
        for lm in (SMALL, LARGE):
            job = several.make(
                **SONG, model=model, use_5hz_lm=True, lm_model_path=lm, inference_steps=2
            )
            assert (job["status"], job["attempts"]) == ("succeeded", 1), job
            assert f"({model}) on" in job["result"]["generation_info"]
            assert lm in job["result"]["generation_info"]
    gpus = [one for one in several.registry().live if one.gpus]
    assert len(gpus) == len(several.registry().live) >= 2


def test_a_model_that_is_not_there_is_refused_with_those_that_are(several: ClusterService) -> None:
    answer = several.http.post("/v1/music/generate", json={**SONG, "model": "acestep-v15-xl-sft"})
    assert answer.status_code == 422
    assert f"deployed: {TURBO}, {BASE}." in answer.text
