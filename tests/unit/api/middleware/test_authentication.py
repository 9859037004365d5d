"""The API key."""

import re

import pytest
from fastapi import FastAPI
from starlette.routing import Route

from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness, problem_of

ROUTES = [
    ("POST", URL),
    ("GET", "/v1/jobs"),
    ("GET", "/v1/jobs/550e8400-e29b-41d4-a716-446655440000"),
    ("DELETE", "/v1/jobs/550e8400-e29b-41d4-a716-446655440000"),
    ("GET", "/v1/audio/550e8400-e29b-41d4-a716-446655440000/1.mp3"),
    ("GET", "/v1/models"),
    ("GET", "/v1/stats"),
    ("GET", "/docsx"),
    ("GET", "/openapi.jsonx"),
    ("POST", "/openapi.json/"),
    ("GET", "/nowhere"),
    ("GET", "/health/"),
    ("GET", "//health"),
    ("GET", "/v1/health"),
]


@pytest.fixture
async def locked(make_api: MakeHarness) -> ApiHarness:
    return await make_api(api_key="sécret key")


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_the_key(locked: ApiHarness, method: str, path: str) -> None:
    answer = await locked.http.request(method, f"http://music{path}")
    problem_of(answer, 401, "missing_api_key")
    assert answer.headers["www-authenticate"] == 'Bearer realm="acestep-ray"'


@pytest.mark.parametrize(
    "header", ["Bearer wrong", "Basic c2Vj", "sécret key", "Bearer sécret", "Bearer sécret key2",
               "Bearer", "Bearer ", "bearer \xff\xfe", "Token sécret key"],
)  # fmt: skip
async def test_wrong_keys(locked: ApiHarness, header: str) -> None:
    answer = await locked.http.get(
        "/v1/jobs", headers=[(b"Authorization", header.encode("latin-1"))]
    )
    assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer")
    assert "secret" not in answer.text


@pytest.mark.parametrize("header", ["Bearer sécret key", "bearer  sécret key "])
async def test_the_key_opens(locked: ApiHarness, header: str) -> None:
    authorization = [(b"Authorization", header.encode())]
    assert (await locked.http.get("/v1/jobs", headers=authorization)).status_code == 200
    submitted = await locked.http.post(URL, json={}, headers=authorization)
    assert submitted.status_code == 200


OPEN = {
    *("/", "/studio/{digest}/{name:path}", "/docs", "/docs/{name}", "/openapi.json"),
    *("/health", "/ready"),
}


async def test_no_other_route_is_open(locked: ApiHarness) -> None:
    assert isinstance(locked.app, FastAPI)
    routes = [route for route in locked.app.routes if isinstance(route, Route)]
    assert len(routes) > 20
    refused = set()
    for route in routes:
        path = re.sub(r"{.*?}", "x", route.path)
        statuses = {
            (await locked.http.request(method, path)).status_code
            for method in sorted(route.methods or ())
        }
        if statuses == {401}:
            refused.add(route.path)
    assert {route.path for route in routes} - refused == OPEN


async def test_the_description_of_the_api_holds_no_key(locked: ApiHarness) -> None:
    """A person enters the key on the page, so both are open; neither depends on the key."""
    for path in ("/docs", "/openapi.json"):
        answer = await locked.http.get(path)
        assert answer.status_code == 200 and "cret key" not in answer.text


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_probes_are_open(locked: ApiHarness, path: str) -> None:
    assert (await locked.http.get(path)).status_code == 200


async def test_without_a_key_all_is_open(make_api: MakeHarness) -> None:
    for key in (None, ""):
        api = await make_api(api_key=key)
        assert (await api.http.get("/v1/jobs")).status_code == 200
        await api.service.coordinator.close()
