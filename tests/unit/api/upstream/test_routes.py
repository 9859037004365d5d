"""Routes as upstream's clients write them, and routes of upstream that are not served."""

import pytest

from acestep_ray.api.upstream.routers import UPSTREAM_ROUTERS
from acestep_ray.metrics import HTTP_REQUESTS
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import ApiHarness, problem_of
from tests.unit.api.upstream.tasks import data_of


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_a_slash_at_the_end(make_api: MakeHarness, prefix: str) -> None:
    """The key may be sent in upstream's ways there, too."""
    api = await make_api(api_key="k")
    headers = {"Authorization": "k"}
    answer = await api.http.post(f"{prefix}/release_task/", json={"prompt": "x", "ai_token": "k"})
    task_id = data_of(answer)["task_id"]
    fields = {"task_id_list": [task_id]}
    answer = await api.http.post(f"{prefix}/query_result/", json=fields, headers=headers)
    assert data_of(answer)[0]["task_id"] == task_id
    answer = await api.http.get(f"{prefix}/v1/model_inventory/", headers=headers)
    assert data_of(answer)["models"]


@pytest.mark.parametrize(
    "path",
    sorted({route.path for one in UPSTREAM_ROUTERS for route in one.routes}),  # type: ignore[attr-defined]
)
async def test_every_route_with_a_slash_at_the_end(api: ApiHarness, path: str) -> None:
    for method in ("GET", "POST"):
        with_slash = await api.http.request(method, f"{path}/", json={})
        without = await api.http.request(method, path, json={})
        assert with_slash.status_code == without.status_code != 404


async def test_a_slash_is_no_route_of_its_own_in_the_metrics(api: ApiHarness) -> None:
    await api.http.post("/release_task/", json={"prompt": "x"})
    ((route, *_),) = api.meter.counted(HTTP_REQUESTS)
    assert route == "/release_task"


@pytest.mark.parametrize(
    "path", ["/v1/jobs/", "/v1/music/generate/", "/health/", "/release_task//"]
)
async def test_other_paths_keep_their_meaning(api: ApiHarness, path: str) -> None:
    problem_of(await api.http.post(path, json={"prompt": "x"}), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["/v1/transcribe", "/v1/reinitialize/", "/v1/dataset/scan", "/v1/training/start",
             "/v1/training/", "/api/v1/dataset/load"],
)  # fmt: skip
async def test_upstreams_other_routes_are_not_called_unknown(
    make_api: MakeHarness, path: str
) -> None:
    api = await make_api(api_key="k")
    for method in ("GET", "POST"):
        answer = await api.http.request(method, path, headers={"Authorization": "k"})
        problem = problem_of(answer, 404, "not_found")
        assert "not served by this service yet" in problem["detail"]
    for unknown in ("/v1/lorax", "/v1/transcribe/x"):
        answer = await api.http.get(unknown, headers={"Authorization": "Bearer k"})
        assert "There is no such route" in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/audio", "/api/v1/audio/"])
async def test_a_download_without_a_path(api: ApiHarness, path: str) -> None:
    problem = problem_of(await api.http.get(path), 422, "invalid_value")
    assert problem["detail"].startswith("path is missing") and "None" not in problem["detail"]


async def test_a_song_without_codes_cannot_be_understood(api: ApiHarness) -> None:
    problem = problem_of(await api.http.post("/v1/understand", json={}), 422, "invalid_value")
    assert problem["detail"].startswith("audio_code_string is missing")


async def test_a_completion_without_messages(api: ApiHarness) -> None:
    answer = await api.http.post("/v1/chat/completions", json={})
    assert "messages is missing" in problem_of(answer, 400, "malformed_body")["detail"]
