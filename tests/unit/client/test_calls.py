"""Requests to a server that fails in all the ways servers and networks do."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from acestep_ray import __version__
from acestep_ray.client import (
    ApiError,
    AuthenticationFailed,
    Client,
    ConnectionFailed,
    Gone,
    InvalidRequest,
    NotFound,
    Ready,
    Retries,
    ServerError,
    ServiceUnavailable,
    UnexpectedResponse,
)
from tests.service import free_port
from tests.unit.client.conftest import MakeClient
from tests.unit.client.hostile import (
    CUT,
    JOB_ID,
    QUEUED,
    RESET,
    HostileServer,
    Reaction,
    answer,
    half,
    hostile,
    plain,
    problem,
    silence,
)

TEMPORARY = {
    "the connection is closed": CUT,
    "the connection is reset": RESET,
    "no response in time": silence(1.5),
    "half of the headers": Reaction(answer().data[:20]),
    "half of the body": half(answer()),
    "half of a body without a length": Reaction(
        b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"job_id": "55'
    ),
    "the proxy knows no route yet": plain(404),
    "the proxy has no replica": plain(503, "unavailable"),
    "the process has died": plain(500, "Internal Server Error"),
    "a proxy's page": answer(502, b"<h1>Bad Gateway</h1>", "text/html"),
    "not ready": problem(503, "not_ready"),
    "the store is away": problem(503, "unavailable"),
    "the queue is full": problem(429, "queue_full"),
}


@pytest.mark.parametrize("fault", TEMPORARY)
def test_a_submit_is_repeated_until_it_succeeds_and_is_one_job(
    client_of: MakeClient, fault: str
) -> None:
    with hostile(TEMPORARY[fault], TEMPORARY[fault], answer()) as server:
        client = client_of(server.url, timeout=0.5 if "in time" in fault else 30)
        job = client.generate(caption="pop")
    assert (job.id, job.status, job.queue_position) == (JOB_ID, "queued", 1)
    assert len(server.seen) == 3 or fault == "no response in time"  # a busy machine is slow, too
    assert len({one.headers["idempotency-key"] for one in server.seen}) == 1
    assert {one.body for one in server.seen} == {b'{"caption": "pop"}'}


def test_two_submits_are_two_jobs_unless_they_have_one_key(client_of: MakeClient) -> None:
    with hostile(answer()) as server:
        client = client_of(server.url)
        for key in (None, None, "mine", "mine"):
            client.generate(caption="pop", idempotency_key=key)
    keys = [one.headers["idempotency-key"] for one in server.seen]
    assert keys[0] != keys[1]
    assert keys[2:] == ["mine", "mine"]


@pytest.mark.parametrize("key", ["", " x", "a\nb", "é", "x" * 256])
def test_a_key_that_no_header_can_hold_is_refused(client_of: MakeClient, key: str) -> None:
    with hostile(answer()) as server, pytest.raises(ValueError, match="idempotency_key must be"):
        client_of(server.url).generate(caption="pop", idempotency_key=key)
    assert server.seen == []


def test_a_file_is_sent_again_whole(client_of: MakeClient, tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    song.write_bytes(b"RIFF" * 100_000)
    with hostile(CUT, problem(503, "unavailable"), answer()) as server, song.open("rb") as file:
        client_of(server.url).generate(src_audio=song, reference_audio=file, task_type="cover")
    assert [one.body.count(b"RIFF") for one in server.seen] == [200_000] * 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 415, 422, 500])
def test_what_the_service_refuses_is_not_repeated(client_of: MakeClient, status: int) -> None:
    with (
        hostile(
            problem(status, "some_code", "A sentence.", X_Request_ID="r-1"), answer()
        ) as server,
        pytest.raises(ApiError) as caught,
    ):
        client_of(server.url).generate(caption="pop")
    error = caught.value
    assert len(server.seen) == error.tries == 1
    assert (error.status, error.code) == (status, "some_code")
    assert str(error).startswith("A sentence.")
    assert error.request_id == "r-1"


def test_a_server_that_wants_a_pause_gets_it(client_of: MakeClient) -> None:
    date = datetime.now(UTC) + timedelta(seconds=3)
    script = (
        problem(429, "queue_full", Retry_After="1"),
        problem(503, "not_ready", Retry_After=format_datetime(date, usegmt=True)),
        answer(),
    )
    with hostile(*script) as server:
        client_of(server.url).generate(caption="pop")
    first, second, third = (one.at for one in server.seen)
    assert second >= first + 1
    assert third >= int(date.timestamp())


def test_a_pause_beyond_the_limit_is_not_begun(client_of: MakeClient) -> None:
    with hostile(problem(503, "not_ready", Retry_After="3600")) as server:
        client = client_of(server.url)
        with pytest.raises(ServiceUnavailable) as caught:
            client.stats()
    assert caught.value.retry_after == 3600
    assert len(server.seen) == 1


def test_the_last_failure_is_reported_when_the_time_is_over(client_of: MakeClient) -> None:
    short = Retries(seconds=2, first_pause=0.05, longest_pause=0.1)
    with (
        hostile(CUT, plain(503, "no replica")) as server,
        pytest.raises(ServiceUnavailable, match="503 Service Unavailable: no replica") as caught,
    ):
        client_of(server.url, retries=short).stats()
    assert caught.value.tries == len(server.seen) >= 2


def test_nobody_listens(client_of: MakeClient) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    short = Retries(seconds=0.2, first_pause=0.05)
    with pytest.raises(ConnectionFailed, match=f"No service can be reached at {url}") as caught:
        client_of(url, retries=short).generate(caption="pop")
    for remedy in ("acestep-ray serve", "ACESTEP_URL", "base_url"):
        assert remedy in caught.value.detail
    assert caught.value.status is None
    assert caught.value.code == "connection_failed"
    assert caught.value.__cause__ is not None


def test_a_service_that_starts_meanwhile_is_reached(client_of: MakeClient) -> None:
    port = free_port()
    late: list[HostileServer] = []
    timer = threading.Timer(0.5, lambda: late.append(HostileServer(answer(), port=port)))
    timer.start()
    try:
        assert client_of(f"http://127.0.0.1:{port}").generate(caption="pop").id == JOB_ID
    finally:
        timer.join()
        late[0].close()


def test_a_page_of_another_server_is_reported_at_once(client_of: MakeClient) -> None:
    script = (
        answer(200, b"<html>", "text/html"),
        answer(200, {"hello": "world"}),
        answer(301, b"", "text/html", Location="https://elsewhere/"),
        answer(404, b"<html>", "text/html"),
    )
    with hostile(*script) as server:
        client = client_of(server.url)
        for reason in ("its Content-Type is text/html", "its JSON has no queued"):
            with pytest.raises(UnexpectedResponse, match=reason) as caught:
                client.stats()
            assert "is the base URL right" in caught.value.detail
        with pytest.raises(UnexpectedResponse, match="redirects to https://elsewhere/"):
            client.stats()
        with pytest.raises(UnexpectedResponse, match=r"404 Not Found.*base_url"):
            client.stats()
    assert len(server.seen) == 4


def test_a_service_that_starts_is_not_a_job_that_is_missing(client_of: MakeClient) -> None:
    """Whoever catches NotFound gives the job up; Serve's proxy says only that no route is there."""
    short = Retries(seconds=0.3, first_pause=0.05, longest_pause=0.1)
    with (
        hostile(plain(404)) as server,
        pytest.raises(ServiceUnavailable, match="it is starting") as caught,
    ):
        client_of(server.url, retries=short).job(JOB_ID)
    assert caught.value.code == "not_ready"
    assert caught.value.tries == len(server.seen) > 1


def test_a_path_of_the_service_is_not_its_address(client_of: MakeClient) -> None:
    missing = problem(404, "not_found", "There is no such path.")
    with hostile(missing) as server:
        client = client_of(f"{server.url}/docs")
        with pytest.raises(UnexpectedResponse, match=f"{server.url}/docs is not the address"):
            client.job(JOB_ID)
        with pytest.raises(NotFound):
            client.job(f"{JOB_ID}/2")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "its JSON is not an object"),
        ({**QUEUED, "queue_position": "x"}, "its JSON has another kind of queue_position"),
        ({**QUEUED, "progress": {}}, "its JSON has no progress.stage"),
    ],
)
def test_what_is_wrong_with_an_answer_is_in_plain_words(
    client_of: MakeClient, body: object, words: str
) -> None:
    with hostile(answer(200, body)) as server, pytest.raises(UnexpectedResponse) as caught:
        client_of(server.url).job(JOB_ID)
    assert f"({words})" in caught.value.detail


@pytest.mark.parametrize(
    "refusal", [problem(401, "missing_api_key"), problem(401, "invalid_api_key"), plain(403, "no")]
)
def test_a_key_that_is_refused_is_named_as_a_program_gives_it(
    client_of: MakeClient, refusal: Reaction
) -> None:
    with hostile(refusal) as server, pytest.raises(AuthenticationFailed) as caught:
        client_of(server.url).stats()
    assert "ACESTEP_API_KEY" in caught.value.detail and "api_key" in caught.value.detail
    assert "Authorization" not in caught.value.detail


def test_what_is_not_allowed_whatever_the_key_does_not_name_it(client_of: MakeClient) -> None:
    refusal = problem(403, "outside_audio")
    with hostile(refusal) as server, pytest.raises(AuthenticationFailed) as caught:
        client_of(server.url).stats()
    assert "key" not in caught.value.detail.lower()


def test_members_that_a_newer_service_adds_do_no_harm(client_of: MakeClient) -> None:
    body = {**QUEUED, "status": "paused", "mood": {"happy": True}}
    with hostile(answer(200, body)) as server:
        assert client_of(server.url).job(JOB_ID).status == "paused"


def test_a_base_url_may_have_a_path_and_every_request_has_the_key(client_of: MakeClient) -> None:
    with hostile(answer(200, {**QUEUED, "jobs": [], "deliveries": []})) as server:
        client = client_of(f"{server.url}/music/api/", "secret")
        job = client.generate(caption="pop")
        job.refresh()
        job.cancel()
        job.deliveries()
        job.delete()
        assert list(client.jobs(status="failed", limit=7, error_code="!cancelled")) == []
        client.job("../strange id")
    assert [f"{one.method} {one.target}" for one in server.seen] == [
        "POST /music/api/v1/music/generate",
        f"GET /music/api/v1/jobs/{JOB_ID}",
        f"POST /music/api/v1/jobs/{JOB_ID}/cancel",
        f"GET /music/api/v1/jobs/{JOB_ID}/deliveries",
        f"DELETE /music/api/v1/jobs/{JOB_ID}",
        "GET /music/api/v1/jobs?status=failed&error_code=%21cancelled&limit=7",
        "GET /music/api/v1/jobs/..%2Fstrange%20id",
    ]
    for one in server.seen:
        assert one.headers["authorization"] == "Bearer secret"
        assert one.headers["user-agent"] == f"acestep-ray-client/{__version__}"


def test_address_and_key_come_from_the_environment(
    client_of: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACESTEP_API_KEY", "secret")
    # A proxy cannot reach this machine's own addresses.
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{free_port()}")
    with hostile(answer(200, {"status": "ok"})) as server:
        monkeypatch.setenv("ACESTEP_URL", server.url)
        make: Callable[..., Client] = client_of
        make(None).health()
        make(None, "").health()
    assert [one.headers.get("authorization") for one in server.seen] == ["Bearer secret", None]


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8001", "ftp://x", "http://", "http://x/?a=1", "http://x:y"]
)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        Client(url)


def test_a_key_that_no_header_can_hold_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="api_key"):
        Client("http://x", "a\nb")


def test_a_password_in_the_address_is_not_in_messages() -> None:
    url = f"http://user:secret@127.0.0.1:{free_port()}/path"
    with (
        Client(url, retries=Retries(seconds=0)) as client,
        pytest.raises(ConnectionFailed, match=r"http://127\.0\.0\.1:\d+/path") as caught,
    ):
        client.health()
    assert "secret" not in str(caught.value)


def test_a_delete_whose_answer_was_lost_has_deleted(client_of: MakeClient) -> None:
    gone = problem(410, "job_expired")
    with hostile(answer(), CUT, gone) as server:
        client_of(server.url).job(JOB_ID).delete()
    with hostile(answer(), gone) as server, pytest.raises(Gone):
        client_of(server.url).job(JOB_ID).delete()


def test_ready_asks_once_and_names_the_reasons(client_of: MakeClient) -> None:
    body = {"code": "not_ready", "detail": "A. B.", "ready": False, "reasons": ["A.", "B."]}
    script = (
        answer(503, body, "application/problem+json"),
        plain(503, "starting"),
        plain(404),
        answer(200, {"status": "ready", "ready": True, "reasons": []}),
        problem(404, "not_found", "There is no such route."),
    )
    with hostile(*script) as server:
        client = client_of(server.url)
        assert client.ready() == Ready(ready=False, reasons=["A.", "B."])
        for _ in range(2):
            state = client.ready()
            assert not state.ready and len(state.reasons) == 1
        assert client.ready().ready
        with pytest.raises(UnexpectedResponse):
            client.ready()
    assert len(server.seen) == 5


def test_a_wrong_field_that_the_service_names_is_found_by_its_name(client_of: MakeClient) -> None:
    entry = {"field": "bpm", "detail": "bpm must be whole.", "legal": "a whole number"}
    body = {"code": "invalid_value", "detail": "bpm must be whole.", "errors": [entry]}
    with (
        hostile(answer(422, body, "application/problem+json")) as server,
        pytest.raises(InvalidRequest) as caught,
    ):
        client_of(server.url).generate(bpm=3)
    assert caught.value.errors["bpm"].legal == "a whole number"


def test_a_problem_that_cannot_be_read_is_an_error_all_the_same(client_of: MakeClient) -> None:
    with (
        hostile(answer(500, b"{", "application/problem+json")) as server,
        pytest.raises(ServerError, match="500 Internal Server Error"),
    ):
        client_of(server.url).stats()
    assert len(server.seen) == 1
