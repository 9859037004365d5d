"""A base model with plans from ``vllm``: its own tasks, and whole jobs, from HTTP to file.

The last test kills vLLM's engine.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.serve_real.songs import serving, song, wav
from tests.service import Service, until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {"ACESTEP_PLANNER": "vllm", "ACESTEP_LM__CAPTION_TOKENS": "10"}
    with serving(tmp_path_factory.mktemp("base"), "--base", **environment) as service:
        yield service


@pytest.mark.parametrize(
    "fields",
    [
        {"task_type": "lego", "track_name": "drums"},
        {"task_type": "extract", "track_name": "vocals"},
        {"task_type": "complete", "track_classes": "drums,bass"},
    ],
    ids=lambda fields: fields["task_type"],
)
def test_tasks_of_base_models(service: Service, fields: dict[str, Any]) -> None:
    _, samples = song(service, {"src_audio": wav(6)}, caption="band", **fields)
    assert len(samples) == 6 * 48_000


def test_guidance_reaches_a_base_model(service: Service) -> None:
    fields: dict[str, Any] = {
        "caption": "x",
        "audio_duration": 6,
        "use_random_seed": False,
        "seed": 7,
    }
    _, low = song(service, **fields, guidance_scale=1)
    _, high = song(service, **fields, guidance_scale=12)
    assert np.abs(low - high).max() > 1e-4


def planned(**fields: Any) -> dict[str, Any]:
    return {
        "caption": "piano",
        "lyrics": "la la",
        "use_5hz_lm": True,
        "audio_duration": 10,
        "batch_size": 1,
        "inference_steps": 2,
        "audio_format": "flac",
        "lm_backend": "vllm",
        **fields,
    }


def test_a_whole_job(service: Service) -> None:
    answer = service.http.post("/v1/music/generate", json=planned(lm_cfg_scale=2, key_scale="Am"))
    assert answer.status_code == 200, answer.text
    assert not answer.json().get("warnings")
    job = service.finish(answer.json()["job_id"])
    assert job["status"] == "succeeded", job
    result = job["result"]
    assert result["audio_codes"].count("<|audio_code_") == 50
    assert (result["duration"], result["keyscale"]) == (10, "A minor")
    assert 30 <= result["bpm"] <= 300
    assert "mock" not in result["generation_info"]
    assert service.http.get(result["first_audio_path"]).content[:4] == b"fLaC"


def test_jobs_at_once_get_the_plans_that_they_get_alone(service: Service) -> None:
    def fields(seed: int) -> dict[str, Any]:
        return planned(use_random_seed=False, seed=seed, lm_cfg_scale=1 + seed % 3)

    alone = [service.make(**fields(seed))["result"] for seed in range(2)]
    jobs = [service.submit(**fields(seed)) for seed in range(6)]
    together = [service.finish(job) for job in jobs]
    assert {job["status"] for job in together} == {"succeeded"}
    for one, other in zip(alone, together, strict=False):
        assert one["audio_codes"] == other["result"]["audio_codes"]
        assert one["metas"] == other["result"]["metas"]
    assert len({job["result"]["audio_codes"] for job in together}) == 6


def test_a_dead_engine_core_costs_no_job(service: Service) -> None:
    jobs = [service.submit(**planned(audio_duration=240, lm_cfg_scale=2)) for _ in range(2)]

    def writing(job: str) -> bool:
        return (service.job(job)["progress"] or {}).get("stage") == "codes"

    # One of them: the first may be planned before the second is seen to begin.
    until(lambda: any(map(writing, jobs)), "no plan reached its codes")
    (killed,) = service.kill("VLLM::EngineCore")
    for job in jobs:
        ended = service.finish(job)
        assert ended["status"] == "succeeded", ended
    assert killed not in service.processes("VLLM::EngineCore")
