"""Requests are counted by route, never by path, whatever answers them."""

import asyncio

import pytest
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acestep_ray.api.middleware.request_metrics import RequestMetrics
from acestep_ray.metrics import HTTP_REQUESTS, HTTP_SECONDS, UPLOADS_REFUSED
from tests.recording_meter import RecordingMeter
from tests.unit.api.conftest import MakeHarness
from tests.unit.api.harness import URL, ApiHarness

JOB = "550e8400-e29b-41d4-a716-446655440000"


@pytest.mark.parametrize(
    ("method", "path", "series"),
    [
        ("GET", f"/v1/jobs/{JOB}", ("/v1/jobs/{job_id}", "GET", "404")),
        ("GET", f"/api/v1/jobs/{JOB}", ("/v1/jobs/{job_id}", "GET", "404")),
        ("GET", "/v1/jobs?limit=3", ("/v1/jobs", "GET", "200")),
        ("GET", f"/v1/audio/{JOB}/1.mp3", ("/v1/audio/{job_id}/{name}", "GET", "404")),
        ("HEAD", "/v1/models", ("/v1/models", "HEAD", "200")),
        ("PUT", "/v1/jobs", ("/v1/jobs", "PUT", "405")),
        ("POST", URL, (URL, "POST", "200")),
        ("GET", "/health", ("/health", "GET", "200")),
        ("GET", "/docs", ("/docs", "GET", "200")),
        ("GET", "/wp-login.php", ("other", "GET", "404")),
        ("GET", "/v1/jobs/", ("other", "GET", "404")),
        ("BREW", "/v1/jobs", ("/v1/jobs", "other", "405")),
    ],
)
async def test_a_path_never_becomes_a_label(
    api: ApiHarness, method: str, path: str, series: tuple[str, str, str]
) -> None:
    await api.http.request(method, path, json={} if method == "POST" else None)
    assert api.meter.counted(HTTP_REQUESTS) == {series: 1}
    route, method, _ = series
    (seconds,) = api.meter.observed[HTTP_SECONDS.name][route, method]
    assert 0 <= seconds < 60


async def test_requests_that_no_route_sees_are_counted_too(make_api: MakeHarness) -> None:
    """Without a key, from a foreign page, and a browser's question before a request."""
    api = await make_api(api_key="key")
    await api.http.get(f"/v1/jobs/{JOB}")
    await api.http.post(URL, headers={"Origin": "https://evil.example"})
    preflight = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"}
    await api.http.options(URL, headers=preflight)
    assert api.meter.counted(HTTP_REQUESTS) == {
        ("/v1/jobs/{job_id}", "GET", "401"): 1,
        (URL, "POST", "403"): 1,
        (URL, "OPTIONS", "200"): 1,
    }


async def test_an_unexpected_error_is_a_500(api: ApiHarness) -> None:
    api.service.fail = ZeroDivisionError()
    await api.http.get("/v1/jobs")
    assert api.meter.counted(HTTP_REQUESTS) == {("/v1/jobs", "GET", "500"): 1}


@pytest.mark.parametrize(
    ("content", "content_type", "reason"),
    [
        (b"{", "application/json", "malformed_body"),
        (b"x" * 1_000_001, "application/json", "body_too_large"),
        (b"ID3", "audio/mpeg", "unsupported_media_type"),
        (b'{"src_audio_path": "/etc/passwd", "task_type": "cover"}', "application/json", None),
    ],
)
async def test_refused_uploads_are_counted_by_their_reason(
    api: ApiHarness, content: bytes, content_type: str, reason: str | None
) -> None:
    answer = await api.http.post(URL, content=content, headers={"Content-Type": content_type})
    assert answer.status_code >= 400
    reason = reason or answer.json()["code"]
    assert api.meter.counted(UPLOADS_REFUSED) == {(reason,): 1}


async def test_a_file_that_is_no_audio_is_a_refused_upload(api: ApiHarness) -> None:
    files = {"src_audio": ("song.mp3", b"no audio at all", "audio/mpeg")}
    answer = await api.http.post(URL, data={"task_type": "cover"}, files=files)
    assert answer.json()["code"] == "invalid_audio"
    assert api.meter.counted(UPLOADS_REFUSED) == {("invalid_audio",): 1}


async def test_a_wrong_value_is_not_a_refused_upload(api: ApiHarness) -> None:
    assert (await api.submit(bpm="fast")).status_code == 422
    assert api.meter.counted(UPLOADS_REFUSED) == {}


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ClientDisconnect()])
async def test_a_client_that_hangs_up_is_no_error_of_the_service(error: BaseException) -> None:
    """An alert on 5xx must not ring for clients that stop waiting."""
    meter = RecordingMeter()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(error, asyncio.CancelledError):
            raise error

    await asyncio.gather(run(app, meter), return_exceptions=True)
    assert meter.counted(HTTP_REQUESTS) == {("/a", "GET", "499"): 1}
    assert not meter.observed


async def test_a_response_that_breaks_off_counts_with_its_status() -> None:
    meter = RecordingMeter()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError

    with pytest.raises(ValueError):
        await run(app, meter)
    assert meter.counted(HTTP_REQUESTS) == {("/a", "GET", "200"): 1}


async def test_what_is_not_http_is_passed_on() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await run(app, RecordingMeter(), {"type": "lifespan"})
    assert seen == ["lifespan"]


async def run(app: ASGIApp, meter: RecordingMeter, scope: Scope | None = None) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pass

    async def endpoint() -> None: ...

    middleware = RequestMetrics(app, meter, lambda: [Route("/a", endpoint)])
    await middleware(scope or {"type": "http", "method": "GET", "path": "/a"}, receive, send)
