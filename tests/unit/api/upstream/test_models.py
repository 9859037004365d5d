"""What upstream's clients request before they make a song: health, statistics, models."""

import json
from collections.abc import AsyncIterator

import pytest

from acestep_ray.api.request.unsupported_fields import IGNORED, REFUSED
from acestep_ray.api.upstream.inventory import NOT_DONE
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.harness import BASE, MOCK_LM, NOTHING, TURBO, ApiHarness, problem_of
from tests.unit.api.upstream.tasks import data_of

LMS = list(MOCK_LM.models)


async def test_health(api: ApiHarness) -> None:
    data = data_of(await api.http.get("/health"))
    assert data["status"] == "ok"
    assert data["models_initialized"] is True and data["llm_initialized"] is True
    assert (data["loaded_model"], data["loaded_lm_model"]) == ("acestep-v15-turbo", LMS[0])
    assert data["device_map"] == {"acestep-v15-turbo": "cpu"}


async def test_health_before_anything_is_up(api: ApiHarness) -> None:
    api.service.deploy = NOTHING
    data = data_of(await api.http.get("/health"))
    assert (data["models_initialized"], data["loaded_model"]) == (False, None)


@pytest.mark.parametrize("failure", [StoreUnavailable("gone"), RuntimeError("Ray is gone")])
async def test_health_whatever_is_down(api: ApiHarness, failure: Exception) -> None:
    api.service.fail = failure
    data = data_of(await api.http.get("/health"))
    assert data["status"] == "ok" and data["models_initialized"] is False


async def test_stats(api: ApiHarness) -> None:
    await api.submit()
    await api.submit()
    job = (await api.http.get(f"/v1/jobs/{await api.succeed(seconds=20)}")).json()
    assert job["finished_at"] - job["started_at"] >= 20
    assert data_of(await api.http.get("/v1/stats")) == {
        "jobs": {"total": 2, "queued": 1, "running": 0, "succeeded": 1, "failed": 0},
        "queue_size": 1,
        "queue_maxsize": 200,
        "avg_job_seconds": pytest.approx(job["finished_at"] - job["started_at"]),
    }


async def test_the_inventory(api: ApiHarness) -> None:
    api.service.deploy = Deployed(
        (MOCK_LM,), (TURBO, TURBO, BASE), ready=True, planner_slots={"Planner": 4}
    )
    data = data_of(await api.http.get("/v1/model_inventory"))
    assert data["models"] == [
        {
            "name": "acestep-v15-turbo",
            "is_default": True,
            "is_loaded": True,
            "supported_task_types": ["text2music", "cover", "repaint"],
        },
        {
            "name": "acestep-v15-base",
            "is_default": False,
            "is_loaded": True,
            "supported_task_types": list(BASE.tasks),
        },
    ]
    assert data["default_model"] == "acestep-v15-turbo"
    assert data["lm_models"] == [{"name": name, "is_loaded": True} for name in LMS]
    assert (data["loaded_lm_model"], data["llm_initialized"]) == (LMS[0], True)
    assert data["device_map"] == {"acestep-v15-turbo": "cpu", "acestep-v15-base": "cuda:0"}


async def test_a_planner_without_a_replica_is_not_loaded(api: ApiHarness) -> None:
    api.service.deploy = Deployed((MOCK_LM,), (TURBO,), ready=True)
    data = data_of(await api.http.get("/v1/model_inventory"))
    assert (data["loaded_lm_model"], data["llm_initialized"]) == (None, False)
    assert {one["is_loaded"] for one in data["lm_models"]} == {False}


async def test_models_for_openrouters_clients(api: ApiHarness) -> None:
    answer = (await api.http.get("/v1/models")).json()
    assert [one["id"] for one in answer["data"]] == ["acestep/acestep-v15-turbo"]
    assert answer["object"] == "list" and answer["decoders"]
    assert "guidance_params" in answer["upstream_fields_not_done"]


def test_the_list_of_what_is_not_done_is_whole() -> None:
    """Fields that are refused for other reasons are not accepted with a warning."""
    warned = {name for name, usual in IGNORED.items() if usual is not None}
    refused = {"analysis_only", "full_analysis_only", "extract_codes_only"}
    assert set(NOT_DONE) == warned | (set(REFUSED) - refused)


@pytest.mark.parametrize(
    "body",
    [{}, {"model": "acestep-v15-turbo"}, {"model": None, "slot": 2, "init_llm": True},
     {"model": "acestep-v15-turbo", "lm_model_path": LMS[1], "slot": "1"}],
)  # fmt: skip
async def test_init_of_what_is_deployed(api: ApiHarness, body: dict[str, object]) -> None:
    data = data_of(await api.http.post("/v1/init", json=body))
    assert data["loaded_model"] == "acestep-v15-turbo"
    assert data["loaded_lm_model"] == body.get("lm_model_path", LMS[0])
    assert data["slot"] == int(str(body.get("slot", 1))) and data["models"][0]["is_loaded"]


async def test_init_without_a_body(api: ApiHarness) -> None:
    assert data_of(await api.http.post("/v1/init"))["loaded_model"] == "acestep-v15-turbo"


@pytest.mark.parametrize(
    "body", [{"model": "acestep-v15-sft"}, {"lm_model_path": "acestep-5Hz-lm-9B"}]
)
async def test_init_of_what_is_not_deployed(api: ApiHarness, body: dict[str, str]) -> None:
    answer = await api.http.post("/v1/init", content=json.dumps(body))
    problem = problem_of(answer, 400, "not_deployed")
    assert "acestep-" in problem["detail"] and "settings of the service" in problem["detail"]


async def test_a_body_without_a_length_is_read(api: ApiHarness) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"model": "nonexistent"}'

    headers = {"Content-Type": "application/json"}
    answer = await api.http.post("/v1/init", content=chunks(), headers=headers)
    problem_of(answer, 400, "not_deployed")
