"""A receiver of webhooks for tests: a real HTTP server on loopback that keeps what it gets."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.service import free_port

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMjQgYnl0ZXMh"
OTHER_SECRET = "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3RzLCAzMg=="


@dataclass(frozen=True)
class Received:
    """A request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str = SECRET) -> dict[str, Any]:
        """The message, if the official library accepts its signature."""
        message: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return message

    @property
    def message_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass(frozen=True)
class Reply:
    """What a receiver responds."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()


class Receiver:
    """``reply`` decides about each request; a test may set it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.reply: Callable[[Received], Reply] = lambda _: Reply()
        self.received: list[Received] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop it; connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()

    def messages(self, kind: str = "") -> list[dict[str, Any]]:
        """The messages so far, verified; ``kind``: only those of a type."""
        found = [one.verified() for one in list(self.received)]
        return [one for one in found if kind in ("", one["type"])]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                one = Received(self.path, headers, body)
                reply = receiver.reply(one)
                receiver.received.append(one)
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: tests look at what was received."""

        return Handler


@contextmanager
def receiving(port: int | None = None) -> Iterator[Receiver]:
    """A receiver that is closed afterwards."""
    receiver = Receiver(port or free_port())
    try:
        yield receiver
    finally:
        receiver.close()
