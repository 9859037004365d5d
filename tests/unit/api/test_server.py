"""Behind a real socket: uploads that are too large or cut off, and clients that still send."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest
import uvicorn
from pydantic import SecretStr
from starlette.types import Message

from acestep_ray.api.app import create_app
from acestep_ray.api.middleware import lingering_close as lingering
from acestep_ray.artifacts.store import Artifacts
from acestep_ray.settings import Limits, Settings
from tests.unit.api.harness import URL, ApiHarness, LocalService

MEGABYTE = 1_000_000
BLOCK = b"x" * 65_536
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="src_audio"; filename="a.wav"\r\n'
    b"Content-Type: audio/wav\r\n\r\n"
)


class TaskCancelledError(Exception):
    """Ray's exception has this name."""


@dataclass
class Server:
    """The app on a port of loopback; at most 2 MB per body."""

    port: int
    service: LocalService
    temporary: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def request(self, *headers: str, key: str = "Bearer k") -> socket.socket:
        """A connection on which the headers of a submit were sent."""
        client = self.connect()
        head = ["POST /v1/music/generate HTTP/1.1", "Host: music", f"Authorization: {key}"]
        client.sendall("\r\n".join([*head, *headers, "", ""]).encode())
        return client


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    settings = Settings(
        data=tmp_path,
        api_key=SecretStr("k"),
        limits=Limits(upload_bytes=2 * MEGABYTE, text_bytes=MEGABYTE),
    )
    service = LocalService(tmp_path / "jobs.sqlite", settings)
    app = create_app(settings, service, Artifacts(settings.artifacts_url))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off")
    running = uvicorn.Server(config)

    async def serve() -> None:
        async with service.opened():
            await running.serve([listener])

    def run() -> None:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    until(lambda: running.started)
    yield Server(listener.getsockname()[1], service, temporary)
    running.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def read_all(client: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    answer = b""
    while block := client.recv(65_536):
        answer += block
    return answer


def send_blocks(client: socket.socket, total: int, *, chunked: bool) -> None:
    for _ in range(total // len(BLOCK)):
        client.sendall(b"%x\r\n%b\r\n" % (len(BLOCK), BLOCK) if chunked else BLOCK)


MULTIPART = "Content-Type: multipart/form-data; boundary=b"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("content_type", "start"), [(MULTIPART, FORM), ("Content-Type: application/json", b"")]
)
def test_a_client_that_sends_all_of_a_large_body_hears_why_it_is_refused(
    server: Server, chunked: bool, content_type: str, start: bytes
) -> None:
    """Not "broken pipe": most HTTP libraries send the whole body before they read."""
    size = 30 * MEGABYTE // len(BLOCK) * len(BLOCK)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size + len(start)}"
    with closing(server.request(content_type, length)) as client:
        client.sendall(b"%x\r\n%b\r\n" % (len(start), start) if chunked and start else start)
        send_blocks(client, size, chunked=chunked)
        if chunked:
            client.sendall(b"0\r\n\r\n")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in answer and b"\r\nconnection: close\r\n" in answer.lower()
    assert list(server.temporary.iterdir()) == []


def test_a_client_without_the_key_hears_it_before_it_has_sent_its_body(server: Server) -> None:
    with closing(
        server.request(MULTIPART, "Content-Length: 1000000000", key="Bearer wrong")
    ) as client:
        answer = client.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 401 ")
        send_blocks(client, 5 * MEGABYTE, chunked=False)  # the server still reads


def test_a_client_that_asks_first_need_not_send_at_all(server: Server) -> None:
    """curl asks before large uploads: Expect: 100-continue."""
    with closing(
        server.request(MULTIPART, "Content-Length: 300000000", "Expect: 100-continue")
    ) as client:
        answer = client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    with closing(
        server.request(
            "Content-Type: application/json", "Content-Length: 2", "Expect: 100-continue"
        )
    ) as client:
        assert client.recv(65_536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"{}")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")


def test_a_client_that_falls_silent_is_let_go(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "QUIET_SECONDS", 0.2)
    with closing(server.request(MULTIPART, "Content-Length: 300000000")) as client:
        assert read_all(client).startswith(b"HTTP/1.1 413 ")  # and the connection ends


def test_a_client_that_never_ends_is_let_go(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lingering, "TOTAL_SECONDS", 0.3)
    with closing(server.request(MULTIPART, "Content-Length: 300000000000")) as client:
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")
        with pytest.raises(OSError):
            while True:
                client.sendall(BLOCK)


@pytest.mark.parametrize("sent", [0, len(FORM), len(FORM) + 100_000, MEGABYTE])
def test_a_client_that_hangs_up_leaves_nothing(
    server: Server, sent: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        client = server.request(MULTIPART, "Content-Length: 1500000")
        client.sendall((FORM + b"x" * MEGABYTE)[:sent])
        if sent > len(FORM):
            until(lambda: [f for f in server.temporary.rglob("*") if f.is_file()])
        client.close()
        until(lambda: any("hung up" in record.getMessage() for record in caplog.records))
    assert list(server.temporary.iterdir()) == []
    assert not [r for r in caplog.records if r.levelno > logging.DEBUG]
    assert server.service.submits == []


def test_connections_are_kept_where_all_is_well(server: Server) -> None:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=20)) as client:
        headers = {"Authorization": "Bearer k", "Content-Type": "application/json"}
        ports = set()
        for _ in range(3):
            client.request("POST", "/v1/music/generate", b"{}", headers)
            answer = client.getresponse()
            assert answer.status == 200 and answer.headers["Connection"] is None
            answer.read()
            ports.add(client.sock.getsockname())
        assert len(ports) == 1


@pytest.mark.parametrize("error", [asyncio.CancelledError, TaskCancelledError, KeyError])
@pytest.mark.parametrize("refused", [False, True])
async def test_a_server_that_fails_to_read_on(
    api: ApiHarness, error: type[BaseException], refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Ray Serve does so if the client disconnects: no traceback; only a cancel is passed on."""
    reported = b"1000000000000" if refused else b"100000"
    content_type = b"multipart/form-data; boundary=b"
    sent: list[Message] = []
    parts: list[Message] = [{"type": "http.request", "body": FORM, "more_body": True}]

    async def receive() -> Message:
        if parts:
            return parts.pop()
        raise error("gone")

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": URL, "raw_path": URL.encode(), "root_path": "",
        "query_string": b"", "http_version": "1.1", "scheme": "http", "server": ("music", 80),
        "client": ("1.2.3.4", 5), "asgi": {"version": "3.0"},
        "headers": [(b"content-type", content_type), (b"content-length", reported)],
    }  # fmt: skip
    app = create_app(api.settings, api.service, api.artifacts)
    with caplog.at_level(logging.INFO):
        if error is asyncio.CancelledError:
            with pytest.raises(asyncio.CancelledError):
                await app(scope, receive, send)
        else:
            await app(scope, receive, send)
    assert [m["status"] for m in sent if "status" in m] == ([413] if refused else [])
    assert not [r for r in caplog.records if r.exc_info]
    warnings = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == (error is KeyError)
    assert api.service.submits == []
