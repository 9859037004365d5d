"""Lets a client that is still sending its body hear an answer that came early.

A server that answers 413 and closes at once makes the client's system throw the answer away: the
client then reports a broken pipe instead of "too large". So the answer goes out whole, and what the
client goes on to send is read and dropped for a while before the connection is closed.

And where a server fails to read on because the client hung up (Serve raises, where ASGI has a
message for it), that message is made of it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

QUIET_SECONDS = 3.0
"""A client that sends nothing for so long is waiting for us to close."""
TOTAL_SECONDS = 30.0


class LingeringClose:
    """ASGI middleware around everything that answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        unread = True
        linger = False

        async def watched_receive() -> Message:
            nonlocal unread
            try:
                message = await receive()
            except Exception as error:
                # Serve cancels its own task that reads when the client is gone: TaskCancelledError.
                expected = "Cancelled" in type(error).__name__
                level = logging.DEBUG if expected else logging.WARNING
                said = "%s %s: the rest of the body cannot be had: %r"
                logger.log(level, said, scope["method"], scope["path"], error)
                message = {"type": "http.disconnect"}
            if message["type"] != "http.request" or not message.get("more_body"):
                unread = False
            return message

        async def lingering_send(message: Message) -> None:
            nonlocal linger
            if message["type"] == "http.response.start":
                linger = unread and message["status"] >= HTTPStatus.BAD_REQUEST
                if linger:
                    MutableHeaders(scope=message)["Connection"] = "close"
            if not linger or message["type"] != "http.response.body" or message.get("more_body"):
                await send(message)
                return
            # The answer is whole by its Content-Length; only the connection stays a little.
            await send({**message, "more_body": True})
            await _drain(watched_receive, lambda: unread)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, watched_receive, lingering_send)


async def _drain(receive: Receive, unread: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TOTAL_SECONDS
    while unread() and (left := deadline - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(min(QUIET_SECONDS, left)):
                await receive()
        except TimeoutError:
            return


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
