"""Carries out the steps of flows in an event loop."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread
import httpx2

from acestep_ray.client.connection import EVENT_BYTES, Connection, answer_of, is_stream
from acestep_ray.client.steps import (
    Answer,
    Close,
    Emit,
    Finished,
    Flow,
    Notify,
    Open,
    Pause,
    Read,
    ReadEvent,
    Request,
    Send,
    Step,
    Work,
    advance,
)

T = TypeVar("T")


class AsyncTransport:
    """A pool of connections to the service, of one event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._http = httpx2.AsyncClient(**connection.client_arguments())

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(self, flow: Flow[T]) -> T:
        """Carry out a flow that emits nothing, and return its value."""
        run = _Run(self, flow)
        async with aclosing(run.items()) as items:
            async for _ in items:
                pass
        return cast(T, run.value)

    async def iterate(self, flow: Flow[None]) -> AsyncGenerator[Any, None]:
        """Carry out a flow as far as it is read; yields what it emits."""
        async with aclosing(_Run(self, flow).items()) as items:
            async for item in items:
                yield item

    async def send(self, request: Request) -> httpx2.Response:
        """Send a request; the body of the response is not read yet."""
        with ExitStack() as files:
            arguments = self._connection.request_arguments(request, files)
            return await self._http.send(
                self._http.build_request(**arguments),
                stream=True,
                follow_redirects=request.follow_redirects,
            )


class _Run:
    """A flow that is carried out. ``value``: what it returned."""

    def __init__(self, transport: AsyncTransport, flow: Flow[Any]) -> None:
        self._transport = transport
        self._flow = flow
        self._response: httpx2.Response | None = None
        self._body: AsyncIterator[Any] | None = None
        self.value: object = None

    async def items(self) -> AsyncGenerator[Any, None]:
        """What the flow emits."""
        try:
            step = advance(self._flow)
            while not isinstance(step, Finished):
                if isinstance(step, Emit):
                    yield step.item
                    step = advance(self._flow)
                    continue
                try:
                    reply = await self._carry_out(step)
                except Exception as error:
                    step = advance(self._flow, error=error)
                else:
                    step = advance(self._flow, reply)
            self.value = step.value
        finally:
            self._flow.close()
            await self._close()

    async def _carry_out(self, step: Step) -> object:
        match step:
            case Send(request):
                async with aclosing(await self._transport.send(request)) as response:
                    return answer_of(response, await response.aread())
            case Open(request):
                return await self._open(request)
            case Read():
                assert self._response is not None
                self._body = self._body or self._response.aiter_bytes()
                return await anext(self._body, None)
            case ReadEvent():
                assert self._response is not None
                self._body = self._body or aiter(httpx2.EventSource(self._response, EVENT_BYTES))
                return await anext(self._body, None)
            case Close():
                await self._close()
            case Pause(seconds):
                await anyio.sleep(seconds)
            case Work(function):
                return await anyio.to_thread.run_sync(function)
            case Notify(function):
                result = function()
                if inspect.isawaitable(result):
                    await result
        return None

    async def _open(self, request: Request) -> Answer:
        await self._close()
        self._response = response = await self._transport.send(request)
        if is_stream(response):
            return answer_of(response)
        content = await response.aread()
        await self._close()
        return answer_of(response, content)

    async def _close(self) -> None:
        response, self._response, body, self._body = self._response, None, self._body, None
        if isinstance(body, AsyncGenerator):
            await body.aclose()
        if response is not None:
            await response.aclose()
