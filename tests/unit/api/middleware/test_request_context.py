"""Each request has an id and, if traces are on, a span; both reach the job."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from acestep_ray.api.app import create_app
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.settings import Settings, Tracing
from acestep_ray.tracing.otlp import OtlpTracer
from tests.otlp_receiver import OtlpReceiver, Received, roots
from tests.unit.api.harness import ApiHarness, LocalService
from tests.unit.api.upstream.writers import Writers

CLIENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SONG = {"caption": "a tune"}


class TracedApi:
    """An app whose traces are received."""

    def __init__(self, http: httpx.AsyncClient, service: LocalService) -> None:
        self.http = http
        self.service = service
        self.writers = Writers()
        self.receiver = OtlpReceiver()
        self.tracer: OtlpTracer

    def spans(self) -> dict[str, Received]:
        self.tracer.close()
        return {span.name: span for span in self.receiver.spans()}

    def spec(self) -> JobSpec:
        return JobSpec.model_validate_json(self.service.submits[-1].spec)


@pytest.fixture
async def traced(tmp_path: Path) -> AsyncIterator[TracedApi]:
    settings = Settings(data=tmp_path / "data")
    service = LocalService(tmp_path / "data" / "jobs.sqlite", settings)
    artifacts = Artifacts(settings.artifacts_url)
    async with service.opened(), httpx.AsyncClient() as client:
        traced = TracedApi(client, service)
        with traced.receiver:
            traced.tracer = OtlpTracer(Tracing(endpoint=traced.receiver.url), "Ingress")
            app = create_app(settings, service, artifacts, traced.writers, tracer=traced.tracer)
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://music") as http:
                traced.http = http
                yield traced
            traced.tracer.close()


async def test_a_usable_id_is_kept_and_any_other_replaced(api: ApiHarness) -> None:
    async def id_of(**headers: str) -> str:
        return (await api.http.get("/health", headers=headers)).headers["X-Request-ID"]

    assert await id_of(**{"X-Request-ID": "song-17/a:b"}) == "song-17/a:b"
    made = {await id_of(), await id_of()}
    for unusable in ("", "two words", "x" * 101, "ä"):
        answer = await api.http.get("/health", headers=[(b"X-Request-ID", unusable.encode())])
        made.add(answer.headers["X-Request-ID"])
    assert len(made) == 6 and {len(one) for one in made} == {36}


async def test_an_id_that_the_server_returns_is_not_returned_twice(
    api: ApiHarness,
) -> None:
    app = create_app(api.settings, api.service, api.artifacts, id_is_returned=True)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://music") as http:
        plain = await http.get("/health", headers={"X-Request-ID": "ours"})
        unusable = await http.get("/health", headers={"X-Request-ID": "two words"})
    assert "X-Request-ID" not in plain.headers
    assert len(unusable.headers["X-Request-ID"]) == 36


async def test_refusals_have_an_id_too(api: ApiHarness) -> None:
    answer = await api.http.post("/v1/music/generate", content=b"[", headers={"X-Request-ID": "r"})
    assert answer.status_code >= 400 and answer.headers["X-Request-ID"] == "r"


async def test_a_job_knows_its_request_and_its_trace(traced: TracedApi) -> None:
    headers = {"X-Request-ID": "r-1", "traceparent": CLIENTS}
    answer = await traced.http.post("/v1/music/generate", json=SONG, headers=headers)
    spans = traced.spans()
    request, submit = spans["POST /v1/music/generate"], spans["submit"]
    assert (request.trace, request.parent) == (CLIENTS[3:35], CLIENTS[36:52])
    assert request.attributes["http.response.status_code"] == 200
    assert submit.parent == request.span
    assert submit.attributes["acestep.job_id"] == answer.json()["job_id"]
    assert traced.spec().request_id == "r-1"
    assert traced.spec().trace == f"00-{submit.trace}-{submit.span}-01"


async def test_without_traces_a_job_still_passes_on_the_clients(api: ApiHarness) -> None:
    """Its webhooks carry it."""
    headers = {"traceparent": CLIENTS}
    await api.http.post("/v1/music/generate", json=SONG, headers=headers)
    spec = JobSpec.model_validate_json(api.service.submits[-1].spec)
    assert spec.trace == CLIENTS and len(spec.request_id) == 36


async def test_a_text_that_a_client_waits_for_is_traced(traced: TracedApi) -> None:
    answer = await traced.http.post("/format_input", json={"prompt": "jazz", "lyrics": "la la"})
    assert answer.json()["code"] == 200, answer.text
    spans = traced.spans()
    assert spans["write"].parent == spans["POST /format_input"].span
    ((_, order),) = traced.writers.asked
    assert order.trace == f"00-{spans['write'].trace}-{spans['write'].span}-01"
    assert order.request_id == answer.headers["X-Request-ID"]


async def test_polls_have_no_spans_unless_the_client_traces_them(traced: TracedApi) -> None:
    await traced.http.get("/v1/stats")
    await traced.http.get("/health")
    await traced.http.post("/query_result", json={"task_id_list": []})
    await traced.http.get("/v1/jobs", headers={"traceparent": CLIENTS})
    assert list(traced.spans()) == ["GET /v1/jobs"]


async def test_names_hold_the_route_and_not_the_path(traced: TracedApi) -> None:
    await traced.http.post("/api/v1/jobs/550e8400-e29b-41d4-a716-446655440000/cancel")
    await traced.http.post("/no/such/route")
    assert list(traced.spans()) == ["POST /v1/jobs/{job_id}/cancel", "POST other"]


async def test_a_failure_of_the_server_fails_the_span(traced: TracedApi) -> None:
    traced.service.fail = RuntimeError("the secret caption")
    assert (await traced.http.post("/v1/music/generate", json=SONG)).status_code == 500
    (span,) = (s for s in traced.spans().values() if s.name.startswith("POST"))
    assert span.failed and span.attributes["http.response.status_code"] == 500
    assert len(roots(traced.receiver.spans())) == 1
    assert "secret" not in str(traced.receiver.spans())
