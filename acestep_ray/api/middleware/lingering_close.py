"""Lets a client that is still sending its body receive an early response.

If a server returns 413 and closes at once, the client's system drops the response: the client then
reports a broken pipe instead of "too large". So the response is sent completely, and for a while
the rest of the client's body is read and dropped before the connection is closed.

If the client has disconnected, Serve raises an error when more of the body is read, or when a
streamed response waits for the disconnection. Here this error becomes the message that ASGI has for
it.
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
"""A client that sends nothing for so long waits for the server to close the connection."""
TOTAL_SECONDS = 30.0


class LingeringClose:
    """ASGI middleware around everything that sends responses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not _has_body(scope):
            await self._app(scope, lambda: _received(scope, receive), send)
            return
        unread = True
        linger = False

        async def watched_receive() -> Message:
            nonlocal unread
            message = await _received(scope, receive)
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
            # The response is complete by its Content-Length; only the connection stays open.
            await send({**message, "more_body": True})
            await _drain(watched_receive, lambda: unread)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app(scope, watched_receive, lingering_send)


async def _received(scope: Scope, receive: Receive) -> Message:
    """The next message from the client; an error is its disconnection."""
    try:
        return await receive()
    except Exception as error:
        # When the client is gone, Serve cancels its own reading task: TaskCancelledError.
        expected = "Cancelled" in type(error).__name__
        level = logging.DEBUG if expected else logging.WARNING
        line = "%s %s: the rest of the body cannot be had: %r"
        logger.log(level, line, scope["method"], scope["path"], error)
        return {"type": "http.disconnect"}


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
