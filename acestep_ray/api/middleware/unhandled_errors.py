"""Every unexpected error becomes a 500 without a traceback."""

import logging

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.work_context import work_context

logger = logging.getLogger(__name__)


class UnhandledErrors:
    """ASGI middleware around everything. The log has the traceback, with the request's id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            logger.debug("%s %s: the client hung up.", scope["method"], scope["path"])
        except Exception:
            request_id = work_context().request_id
            logger.exception("Request %s, %s %s", request_id, scope["method"], scope["path"])
            if started:
                raise  # part of the response is sent: only a broken connection shows the error
            problem = Problem(
                ProblemCode.INTERNAL,
                f"The server failed unexpectedly; its log tells more under request {request_id}.",
            )
            await problem.response()(scope, receive, send)
