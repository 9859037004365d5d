"""Probes, models, statistics; unknown routes; unexpected failures."""

import logging
from typing import Any

import pytest

from acestep_ray import __version__
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.planner.protocol import PlannerDescription
from acestep_ray.replicas.deployed import Deployed
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import BASE, MOCK_LM, NOTHING, TURBO, URL, ApiHarness, problem_of


def without_envelope(answer: dict[str, Any]) -> dict[str, Any]:
    """The service's own keys; those of upstream's API have tests in tests/unit/api/upstream."""
    envelope = {"data", "code", "error", "timestamp", "extra"}
    assert envelope <= set(answer)
    return {name: value for name, value in answer.items() if name not in envelope}


async def test_health(api: ApiHarness) -> None:
    api.service.fail = StoreUnavailable("gone")
    answer = await api.http.get("/health")
    assert answer.status_code == 200
    assert without_envelope(answer.json()) == {
        "status": "ok",
        "service": "acestep-ray",
        "version": __version__,
        "mock": True,
        "planner": "mock",
        "decoder": "mock",
    }


async def test_health_with_real_engines(make_api: MakeHarness) -> None:
    api = await make_api(planner="pt", decoder="diffusers")
    assert (await api.http.get("/health")).json()["mock"] is False


async def test_ready(api: ApiHarness) -> None:
    answer = await api.http.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "ready": True, "reasons": []}
    api.service.deploy = NOTHING
    answer = await api.http.get("/ready")
    problem = problem_of(answer, 503, "not_ready")
    assert problem["reasons"] == ["No decoder replica is up yet."] and problem["ready"] is False
    assert answer.headers["retry-after"]
    api.service.fail = StoreUnavailable("gone")
    problem_of(await api.http.get("/ready"), 503, "unavailable")


async def test_planners_are_told_with_their_state(api: ApiHarness) -> None:
    planners = tuple(
        PlannerDescription(engine="vllm", models=(name,), mock=False, deployment=name)
        for name in ("live", "coming", "resting")
    )
    api.service.deploy = Deployed(
        planners,
        (TURBO,),
        ready=True,
        planner_slots={"live": 16},
        starting=frozenset({"coming"}),
    )
    answer = (await api.http.get("/v1/models")).json()
    states = {planner["name"]: planner["state"] for planner in answer["planners"]}
    assert states == {"live": "ready", "coming": "starting", "resting": "idle"}


async def test_models(api: ApiHarness) -> None:
    turbo, base = (one.model_copy(update={"deployment": one.model}) for one in (TURBO, BASE))
    slots = {TURBO.model: 2}
    api.service.deploy = Deployed((MOCK_LM,), (turbo, turbo, base), ready=True, decoder_slots=slots)
    answer = (await api.http.get("/v1/models")).json()
    turbo, base = answer["decoders"]
    assert turbo == {
        "name": "acestep-v15-turbo",
        "default": True,
        "engine": "mock",
        "mock": True,
        "turbo": True,
        "recommended_steps": 8,
        "recommended_shift": 3.0,
        "xl": False,
        "lego_sft": False,
        "lrc": False,
        "scores": False,
        "device": "cpu",
        "state": "ready",
        "tasks": ["text2music", "cover", "repaint"],
        "ignores": [
            "guidance_scale",
            "cfg_interval_start",
            "cfg_interval_end",
            "use_adg",
            "guidance_variant",
        ],
    }
    assert (base["name"], base["default"], base["ignores"], base["state"]) == (
        "acestep-v15-base",
        False,
        [],
        "idle",
    )
    assert base["recommended_steps"] == 50
    assert [lm["name"] for lm in answer["planners"]] == list(MOCK_LM.models)
    assert [lm["default"] for lm in answer["planners"]] == [True, False, False]
    assert answer["audio_formats"] == ["mp3", "wav", "wav32", "flac", "opus", "ogg"]
    assert len(answer["languages"]) == 51 and len(answer["tracks"]) == 12
    assert answer["limits"]["duration"] == 600 and answer["defaults"]["batch_size"] == 2


async def test_models_before_anything_is_up(api: ApiHarness) -> None:
    api.service.deploy = NOTHING
    answer = await api.http.get("/v1/models")
    assert answer.status_code == 200
    assert (answer.json()["decoders"], answer.json()["planners"]) == ([], [])


async def test_stats(api: ApiHarness) -> None:
    api.service.register(planners=[4], decoders=[2, 3])
    await api.submit(use_5hz_lm=True)
    await api.submit()
    job = (await api.http.get(f"/v1/jobs/{await api.succeed(seconds=20)}")).json()
    assert job["finished_at"] - job["started_at"] >= 20
    assert without_envelope((await api.http.get("/v1/stats")).json()) == {
        "queued": 1,
        "queued_for_plan": 0,
        "running": 0,
        "succeeded": 1,
        "failed": 0,
        "avg_job_seconds": pytest.approx(job["finished_at"] - job["started_at"]),
        "work_per_second": None,
        "plan_seconds": None,
        "queue_maxsize": 200,
        "capacity": {"planners": 1, "decoders": 2, "plan_slots": 4, "decode_slots": 5},
    }


@pytest.mark.parametrize("path", ["/nowhere", "/v1/jobs/", f"{URL}/", "/v1/audio/x"])
async def test_routes_that_are_none(api: ApiHarness, path: str) -> None:
    problem_of(await api.http.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", URL, "POST"), ("PUT", URL, "POST"), ("POST", "/health", "GET, HEAD"),
     ("DELETE", "/v1/jobs", "GET, HEAD"), ("OPTIONS", URL, "POST"),
     ("POST", "/v1/stats", "GET, HEAD"), ("DELETE", "/v1/audio/x/1.mp3", "GET, HEAD"),
     ("PUT", "/v1/jobs/x", "DELETE, GET, HEAD"), ("PUT", "/v1/jobs/x/cancel", "POST")],
)  # fmt: skip
async def test_methods_that_are_none(api: ApiHarness, method: str, path: str, allowed: str) -> None:
    answer = await api.http.request(method, path)
    problem = problem_of(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allowed and f"takes {allowed} only" in problem["detail"]


@pytest.mark.parametrize("path", ["/health", "/ready", "/v1/models", "/v1/jobs", "/v1/jobs/{}"])
async def test_head_wherever_there_is_get(api: ApiHarness, path: str) -> None:
    path = path.format((await api.submit()).json()["job_id"])
    same = {"X-Request-ID": "probe"}
    head, get = [await api.http.request(method, path, headers=same) for method in ("HEAD", "GET")]
    assert (head.status_code, head.headers) == (200, get.headers)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", URL), ("GET", "/v1/jobs"), ("GET", "/v1/jobs/{}"), ("POST", "/v1/jobs/{}/cancel"),
     ("DELETE", "/v1/jobs/{}"), ("GET", "/v1/stats"), ("GET", "/v1/audio/{}/1.mp3")],
)  # fmt: skip
async def test_a_store_that_is_away(api: ApiHarness, method: str, path: str) -> None:
    """A retry solves it; never a 404 for a job that exists."""
    api.service.fail = StoreUnavailable("The actor died.")
    path = path.format("550e8400-e29b-41d4-a716-446655440000")
    answer = await api.http.request(method, path, json={} if path == URL else None)
    problem_of(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_what_nobody_foresaw(api: ApiHarness, caplog: pytest.LogCaptureFixture) -> None:
    api.service.fail = RuntimeError("secret path /srv/x")
    with caplog.at_level(logging.ERROR):
        answer = await api.http.get("/v1/stats", headers={"X-Request-Id": "abc-1"})
    problem = problem_of(answer, 500, "internal")
    assert "abc-1" in problem["detail"] and answer.headers["x-request-id"] == "abc-1"
    assert "secret" not in answer.text
    (record,) = (r for r in caplog.records if r.exc_info)
    assert "abc-1" in record.getMessage() and "secret" in str(record.exc_info)
    plain = await api.http.get("/v1/stats", headers=[(b"X-Request-Id", b"\xff\n")])
    assert len(plain.headers["x-request-id"]) == 36
