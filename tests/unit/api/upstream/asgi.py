"""A client of the app that can disconnect at any moment, as a server reports it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.types import Message

from tests.unit.api.harness import ApiHarness


class Client:
    """One POST of JSON. ``messages``: what the app has sent."""

    def __init__(
        self, api: ApiHarness, path: str, fields: Mapping[str, object], **headers: str
    ) -> None:
        body = json.dumps(fields).encode()
        self.messages: list[Message] = []
        self._body: Message | None = {"type": "http.request", "body": body, "more_body": False}
        self._gone = asyncio.Event()
        self._changed = asyncio.Condition()
        named = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "server": ("music", 80),
            "client": ("client", 1),
            "headers": [
                (k.replace("_", "-").encode(), value.encode()) for k, value in named.items()
            ],
        }
        self.task = asyncio.create_task(self._run(api, scope))

    async def _run(self, api: ApiHarness, scope: dict[str, Any]) -> None:
        await api.app(scope, self._receive, self._send)

    async def _receive(self) -> Message:
        if self._body is not None:
            message, self._body = self._body, None
            return message
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        async with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def hang_up(self) -> None:
        """The server tells the app that the client has gone; Serve cancels the request too."""
        self._gone.set()

    @property
    def text(self) -> str:
        """The body of the response, as far as it was sent."""
        return b"".join(message.get("body", b"") for message in self.messages).decode()

    async def received(self, text: str) -> None:
        """Wait until the response contains a text."""
        async with self._changed, asyncio.timeout(60):
            await self._changed.wait_for(lambda: text in self.text)

    async def end(self) -> None:
        """Wait until the app has done its work for this request."""
        async with asyncio.timeout(60):
            await asyncio.wait({self.task})
        assert self.task.cancelled() or self.task.exception() is None
