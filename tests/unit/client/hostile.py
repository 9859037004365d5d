"""A server on loopback that treats each request as its script prescribes: it answers, answers half,
hangs up, is silent."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import parse_headers
from typing import Any

JOB_ID = "550e8400-e29b-41d4-a716-446655440000"
QUEUED = {"job_id": JOB_ID, "status": "queued", "queue_position": 1}


@dataclass(frozen=True)
class Seen:
    """A request as it came. ``at``: when, epoch seconds."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass(frozen=True)
class Reaction:
    """What is done with a request: ``data`` is sent, then the connection is closed, or kept if
    ``keep``.

    ``before``: called first, such as to wait. ``reset``: the connection is broken off, not closed.
    """

    data: bytes = b""
    keep: bool = False
    reset: bool = False
    before: Callable[[], object] = field(default=lambda: None)


def answer(
    status: int = 200,
    body: object = QUEUED,
    content_type: str = "application/json",
    **headers: str,
) -> Reaction:
    """A response. ``body``: JSON, or bytes. Underscores in names of headers become hyphens."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [
        f"HTTP/1.1 {status} X",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(data)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return Reaction("\r\n".join([*lines, "", ""]).encode() + data, keep=True)


def problem(status: int, code: str, detail: str = "It does not work.", **headers: str) -> Reaction:
    """An error of the service."""
    body = {"status": status, "code": code, "detail": detail, "title": "", "type": "about:blank"}
    return answer(status, body, "application/problem+json", **headers)


def plain(status: int, text: str = "Path '/' not found. Ping http://x/-/routes.") -> Reaction:
    """An error of Serve's proxy."""
    return answer(status, text.encode(), "text/plain; charset=utf-8")


def half(reaction: Reaction, size: int = 5) -> Reaction:
    """The same response without its last bytes."""
    return Reaction(reaction.data[:-size])


CUT = Reaction()
RESET = Reaction(reset=True)


def silence(seconds: float) -> Reaction:
    """No response for so many seconds."""
    return Reaction(before=lambda: time.sleep(seconds))


def events(*blocks: str, end: bytes = b"") -> Reaction:
    """A stream of events that ends, with ``end`` after its last whole event."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    data = "".join(f"{block}\n\n" for block in blocks).encode() + end
    return Reaction(head + b"%x\r\n%s\r\n" % (len(data), data) + (b"" if end else b"0\r\n\r\n"))


def event(kind: str, number: int | None, **data: Any) -> str:
    """One event in the form of the stream."""
    body = {"job_id": JOB_ID, "kind": kind, "status": "running", "attempt": 1, **data}
    id_line = "" if number is None else f"id: epoch-{number}\n"
    return f"{id_line}event: {kind}\ndata: {json.dumps(body)}"


class HostileServer:
    """``script``: a reaction for each request; the last one is repeated. ``seen``: the requests."""

    def __init__(self, *script: Reaction, port: int = 0) -> None:
        self._script = list(script)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._lock = threading.Lock()
        self.seen: list[Seen] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file, suppress(OSError):
            while line := file.readline():
                method, target, _ = line.decode().split(" ")
                headers = {name.lower(): value for name, value in parse_headers(file).items()}
                body = file.read(int(headers.get("content-length", 0)))
                with self._lock:
                    self.seen.append(Seen(method, target, headers, body, time.time()))
                    reaction = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                reaction.before()
                if reaction.reset:
                    linger = b"\1\0\0\0\0\0\0\0"  # close with RST
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return
                connection.sendall(reaction.data)
                if not reaction.keep:
                    return


@contextmanager
def hostile(*script: Reaction, port: int = 0) -> Iterator[HostileServer]:
    """A server that is closed afterwards."""
    server = HostileServer(*script, port=port)
    try:
        yield server
    finally:
        server.close()
