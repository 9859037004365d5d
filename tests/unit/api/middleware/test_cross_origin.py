"""CORS: which web pages may call the service."""

import pytest
from pydantic import ValidationError

from acestep_ray.settings import Settings
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness, problem_of

PAGE = "http://localhost:5173"
PATHS = [URL, "/release_task", "/api/release_task", "/query_result", "/v1/jobs"]


def preflight(origin: str, method: str = "POST") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "content-type, authorization, x-api-key",
    }


@pytest.mark.parametrize("path", PATHS)
async def test_a_preflight_is_answered_before_the_key_is_checked(
    make_api: MakeHarness, path: str
) -> None:
    api = await make_api(api_key="k")
    answer = await api.http.options(path, headers=preflight(PAGE))
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in ("content-type", "authorization", "x-api-key"))


@pytest.mark.parametrize(
    "origin",
    ["http://localhost", "http://localhost:3000", "https://localhost:8443", "http://127.0.0.1:80",
     "http://[::1]:5173"],
)  # fmt: skip
async def test_pages_of_this_machine(api: ApiHarness, origin: str) -> None:
    for headers in (preflight(origin), preflight(origin, "DELETE")):
        answer = await api.http.options("/v1/jobs", headers=headers)
        assert answer.headers["access-control-allow-origin"] == origin
    answer = await api.http.get("/v1/stats", headers={"Origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    ["null", "https://evil.example", "http://localhost.evil.example", "http://localhost:80.evil.example",
     "http://evil.example/http://localhost", "http://127.0.0.1.evil.example", "http://xlocalhost"],
)  # fmt: skip
async def test_foreign_pages(api: ApiHarness, origin: str) -> None:
    answer = await api.http.options(URL, headers=preflight(origin))
    problem_of(answer, 403, "foreign_origin")
    assert "access-control-allow-origin" not in answer.headers
    answer = await api.http.get("/v1/stats", headers={"Origin": origin})
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_reads_the_headers_that_it_needs(api: ApiHarness) -> None:
    answer = await api.http.post(URL, json={}, headers={"Origin": PAGE})
    exposed = answer.headers["access-control-expose-headers"].lower()
    for name in ("retry-after", "location", "content-range", "content-disposition", "etag"):
        assert name in exposed


async def test_a_page_reads_errors(make_api: MakeHarness) -> None:
    """Without the headers a browser hides why a request failed."""
    api = await make_api(api_key="k")
    answer = await api.http.get("/v1/jobs", headers={"Origin": PAGE})
    problem_of(answer, 401, "missing_api_key")
    assert answer.headers["access-control-allow-origin"] == PAGE
    api.service.fail = RuntimeError("unforeseen")
    headers = {"Origin": PAGE, "Authorization": "Bearer k"}
    answer = await api.http.get("/v1/jobs", headers=headers)
    problem_of(answer, 500, "internal")
    assert answer.headers["access-control-allow-origin"] == PAGE


async def test_null_when_asked_for(make_api: MakeHarness) -> None:
    api = await make_api(cors_origins="loopback, null,https://music.example.org")
    for origin in ("null", PAGE, "https://music.example.org"):
        answer = await api.http.options(URL, headers=preflight(origin))
        assert answer.headers["access-control-allow-origin"] == origin
    answer = await api.http.options(URL, headers=preflight("https://evil.example"))
    assert "access-control-allow-origin" not in answer.headers


async def test_all_pages_when_asked_for(make_api: MakeHarness) -> None:
    api = await make_api(cors_origins=["*"])
    answer = await api.http.get("/v1/stats", headers={"Origin": "https://evil.example"})
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_no_page_when_asked_for(make_api: MakeHarness) -> None:
    api = await make_api(cors_origins="none")
    problem_of(await api.http.options(URL, headers=preflight(PAGE)), 403, "foreign_origin")
    answer = await api.http.get("/v1/stats", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("setting", ["loopback", "none", "https://friend.example"])
async def test_who_looks_for_the_cause_of_a_refused_preflight_finds_the_setting(
    make_api: MakeHarness, caplog: pytest.LogCaptureFixture, setting: str
) -> None:
    """A page only learns that the call failed: the browser's tools and the log show why."""
    api = await make_api(cors_origins=setting, api_key="k")
    answer = await api.http.options("/release_task", headers=preflight("https://daw.example"))
    problem = problem_of(answer, 403, "foreign_origin")
    assert "ACESTEP_CORS_ORIGINS" in problem["detail"] and "Origin" in answer.headers["vary"]
    assert "https://daw.example" in problem["detail"]
    (line,) = [r.getMessage() for r in caplog.records if "ACESTEP_CORS_ORIGINS" in r.getMessage()]
    assert "https://daw.example" in line


async def test_the_log_names_the_page_of_a_refused_form(
    api: ApiHarness, caplog: pytest.LogCaptureFixture
) -> None:
    await api.http.post(URL, data={"caption": "x"}, headers={"Origin": "https://evil.example"})
    assert "https://evil.example" in caplog.text


async def test_options_without_a_page_are_answered_as_before(make_api: MakeHarness) -> None:
    api = await make_api(cors_origins="none")
    assert (await api.http.options(URL)).status_code == 405


def test_the_setting_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACESTEP_CORS_ORIGINS", "null,http://a.example:81")
    assert Settings().cors_origins == ("null", "http://a.example:81")


@pytest.mark.parametrize(
    "value", ["localhost", "http://a.example/", "ftp://a.example", "none,loopback", "https://"]
)
def test_settings_that_are_none(value: str) -> None:
    with pytest.raises(ValidationError, match="cors_origins"):
        Settings(cors_origins=value)  # as the environment has it


SENT_UNASKED = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
)


@pytest.mark.parametrize("content_type", SENT_UNASKED)
@pytest.mark.parametrize("path", [URL, "/release_task", "/api/release_task", "/v1/jobs/j/cancel"])
@pytest.mark.parametrize(
    "browser",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://[::1"},
        {
            "Origin": "http://music.example:81",
            "Host": "music.example",
            "Sec-Fetch-Site": "same-site",
        },
        {"Origin": "http://music.example:81", "Host": "music.example"},
    ],
)
async def test_a_foreign_page_changes_nothing(
    api: ApiHarness, path: str, browser: dict[str, str], content_type: str
) -> None:
    """A browser sends these without a preflight."""
    headers = {**browser, "Content-Type": content_type}
    problem = problem_of(
        await api.http.post(path, content=b"caption=x", headers=headers), 403, "foreign_origin"
    )
    assert "ACESTEP_CORS_ORIGINS" in problem["detail"]
    assert (await api.http.get("/v1/jobs")).json()["jobs"] == []


@pytest.mark.parametrize(
    "browser",
    [
        {},
        {"Origin": PAGE, "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://music.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://10.0.0.5:8001", "Host": "10.0.0.5:8001"},
        {"Origin": "https://public.example", "Host": "inner:8001"},
        {"Origin": "https://friend.example", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_own_pages_and_allowed_ones_submit(
    make_api: MakeHarness, browser: dict[str, str]
) -> None:
    api = await make_api(
        cors_origins="loopback,https://friend.example", public_url="https://public.example/music"
    )
    answer = await api.http.post(URL, json={"caption": "x"}, headers=browser)
    assert answer.status_code == 200, answer.text
