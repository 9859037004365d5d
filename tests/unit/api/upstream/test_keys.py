"""The API key in all the ways in which upstream's clients send it; and the prefix /api."""

import json

import pytest

from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness, problem_of
from tests.unit.api.request.test_source_audio import SONG
from tests.unit.api.upstream.tasks import data_of

KEY = "secret-key"
ROUTES = [
    ("POST", "/release_task"),
    ("POST", "/query_result"),
    ("GET", "/v1/audio?path=x"),
    ("GET", "/v1/model_inventory"),
    ("GET", "/v1/models"),
    ("GET", "/v1/stats"),
    ("POST", "/v1/init"),
    ("POST", "/format_input"),
    ("POST", "/v1/create_sample"),
    ("POST", "/v1/understand"),
    ("POST", "/create_random_sample"),
]
BODY_KEY_ROUTES = [
    "/release_task",
    "/query_result",
    "/format_input",
    "/v1/create_sample",
    "/v1/understand",
    "/create_random_sample",
    "/v1/chat/completions",
]
HEADERS = [
    {"Authorization": f"Bearer {KEY}"},
    {"Authorization": KEY},
    {"X-API-Key": KEY},
    {"Authorization": "Bearer ", "X-API-Key": KEY},
]


@pytest.fixture
async def locked(make_api: MakeHarness) -> ApiHarness:
    return await make_api(api_key=KEY)


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_the_key(
    locked: ApiHarness, method: str, path: str, prefix: str
) -> None:
    codes = {"audio_codes": "1 2 3"} if path == "/v1/understand" else {}
    body = {"prompt": "jazz", **codes} if method == "POST" else None
    answer = await locked.http.request(method, prefix + path, json=body)
    problem_of(answer, 401, "missing_api_key")
    for headers in ({"Authorization": "wrong"}, {"X-API-Key": "wrong"}):
        answer = await locked.http.request(method, prefix + path, json=body, headers=headers)
        problem_of(answer, 401, "invalid_api_key")
    for headers in HEADERS:
        answer = await locked.http.request(method, prefix + path, json=body, headers=headers)
        assert answer.status_code == (403 if "audio" in path else 200), answer.text


@pytest.mark.parametrize("headers", HEADERS[1:])
async def test_the_native_routes_want_a_bearer_token(
    locked: ApiHarness, headers: dict[str, str]
) -> None:
    for prefix in ("", "/api"):
        answer = await locked.http.post(prefix + URL, json={"ai_token": KEY}, headers=headers)
        assert answer.status_code == 401


@pytest.mark.parametrize("kind", ["json", "form", "multipart", "no type"])
async def test_the_key_in_the_body(locked: ApiHarness, kind: str) -> None:
    fields = {"prompt": "jazz", "ai_token": KEY}
    answer = await {
        "json": lambda: locked.http.post("/release_task", json=fields),
        "form": lambda: locked.http.post("/release_task", data=fields),
        "multipart": lambda: locked.http.post(
            "/release_task", data=fields, files={"src_audio": ("a.wav", SONG)}
        ),
        "no type": lambda: locked.http.post("/release_task", content=json.dumps(fields)),
    }[kind]()
    task_id = data_of(answer)["task_id"]
    assert KEY not in (await locked.stored(task_id)).model_dump_json()
    sent = {"task_id_list": json.dumps([task_id]), "ai_token": KEY}
    assert data_of(await locked.http.post("/query_result", data=sent))[0]["status"] == 0


@pytest.mark.parametrize("token", ["wrong", "", None, 5, [KEY]])
@pytest.mark.parametrize("path", BODY_KEY_ROUTES)
async def test_a_wrong_key_in_the_body(locked: ApiHarness, path: str, token: object) -> None:
    answer = await locked.http.post(path, json={"prompt": "jazz", "ai_token": token})
    assert answer.status_code == 401 and await locked.queued() == 0
    assert "secret" not in answer.text


PROXY = "Basic dXNlcjpwYXNz"


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("path", ["/release_task", "/query_result"])
@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Authorization": PROXY}, KEY),
        ({"Authorization": PROXY, "X-API-Key": KEY}, None),
        ({"Authorization": PROXY, "X-API-Key": KEY}, "wrong"),
        ({"Authorization": PROXY, "X-API-Key": "wrong"}, KEY),
        ({"Authorization": "Bearer wrong", "X-API-Key": KEY}, None),
        ({"Authorization": f"Bearer {KEY}", "X-API-Key": "wrong"}, "wrong"),
        ({"X-API-Key": "wrong"}, KEY),
    ],
)
async def test_one_valid_key_is_enough(
    locked: ApiHarness, prefix: str, path: str, headers: dict[str, str], token: str | None
) -> None:
    """A proxy in front of the service may have an Authorization header of its own."""
    fields = {"prompt": "jazz", "ai_token": token}
    answer = await locked.http.post(prefix + path, json=fields, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["/release_task", "/query_result"])
@pytest.mark.parametrize("token", [None, "", "wrong"])
@pytest.mark.parametrize(
    "headers", [{"Authorization": PROXY}, {"Authorization": PROXY, "X-API-Key": "wrong"}]
)
async def test_only_wrong_keys(
    locked: ApiHarness, path: str, token: str | None, headers: dict[str, str]
) -> None:
    for fields in ({"prompt": "jazz", "ai_token": token}, {"x": "y" * 1_200_000, "ai_token": KEY}):
        answer = await locked.http.post(path, json=fields, headers=headers)
        problem_of(answer, 401, "invalid_api_key")
    assert await locked.queued() == 0


async def test_the_header_of_a_proxy_opens_nothing(locked: ApiHarness) -> None:
    answer = await locked.http.post(
        URL, json={"ai_token": KEY}, headers={"Authorization": PROXY, "X-API-Key": KEY}
    )
    assert answer.status_code == 401


async def test_large_files_need_the_key_in_a_header(make_api: MakeHarness) -> None:
    """Otherwise anybody could fill the server's disk."""
    locked = await make_api(api_key=KEY, limits={"text_bytes": 1000})
    fields = {"prompt": "jazz", "ai_token": KEY}
    files = {"src_audio": ("a.wav", SONG)}
    answer = await locked.http.post("/release_task", data=fields, files=files)
    problem_of(answer, 401, "missing_api_key")
    answer = await locked.http.post("/release_task", data=fields, files=files, headers=HEADERS[2])
    assert data_of(answer)["status"] == "queued"


@pytest.mark.parametrize("path", BODY_KEY_ROUTES)
@pytest.mark.parametrize(
    ("content", "type"),
    [
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"<a/>", "text/xml"),
        (b"x" * 1_200_000, "application/json"),
        (b"--x", "multipart/form-data; boundary=y"),
    ],
)
async def test_without_a_key_nothing_else_is_wrong(
    locked: ApiHarness, path: str, content: bytes, type: str
) -> None:
    answer = await locked.http.post(path, content=content, headers={"Content-Type": type})
    problem_of(answer, 401, "missing_api_key")


async def test_the_probes_stay_open(locked: ApiHarness) -> None:
    for path in ("/health", "/api/health", "/ready", "/api/ready"):
        assert (await locked.http.get(path)).status_code == 200


async def test_a_task_under_the_prefix(api: ApiHarness) -> None:
    answer = await api.http.post("/api/release_task", json={"prompt": "jazz"})
    task_id = data_of(answer)["task_id"]
    await api.succeed()
    answer = await api.http.post("/api/query_result", json={"task_id_list": [task_id]})
    (item, _) = json.loads(data_of(answer)[0]["result"])
    assert (await api.http.get("/api" + item["file"])).content == b"one"
    head = await api.http.head("/api" + item["file"])
    assert head.headers["content-length"] == "3"


async def test_routes_that_do_not_exist_under_the_prefix(api: ApiHarness) -> None:
    for path in ("/api/nowhere", "/api/api/health", "/apihealth"):
        problem_of(await api.http.get(path), 404, "not_found")
    answer = await api.http.get("/api/release_task")
    problem_of(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
