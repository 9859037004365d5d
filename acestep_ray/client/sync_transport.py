"""Carries out the steps of flows in the calling thread."""

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from typing import Any, TypeVar, cast

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


class SyncTransport:
    """A pool of connections to the service; several threads may use it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._http = httpx2.Client(**connection.client_arguments())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(self, flow: Flow[T]) -> T:
        """Carry out a flow that emits nothing, and return its value."""
        run = _Run(self, flow)
        for _ in run.items():
            pass
        return cast(T, run.value)

    def iterate(self, flow: Flow[None]) -> Generator[Any, None, None]:
        """Carry out a flow as far as it is read; yields what it emits."""
        with closing(_Run(self, flow).items()) as items:
            yield from items

    def send(self, request: Request) -> httpx2.Response:
        """Send a request; the body of the response is not read yet."""
        with ExitStack() as files:
            arguments = self._connection.request_arguments(request, files)
            return self._http.send(
                self._http.build_request(**arguments),
                stream=True,
                follow_redirects=request.follow_redirects,
            )


class _Run:
    """A flow that is carried out. ``value``: what it returned."""

    def __init__(self, transport: SyncTransport, flow: Flow[Any]) -> None:
        self._transport = transport
        self._flow = flow
        self._response: httpx2.Response | None = None
        self._body: Iterator[Any] | None = None
        self.value: object = None

    def items(self) -> Generator[Any, None, None]:
        """What the flow emits."""
        try:
            step = advance(self._flow)
            while not isinstance(step, Finished):
                if isinstance(step, Emit):
                    yield step.item
                    step = advance(self._flow)
                    continue
                try:
                    reply = self._carry_out(step)
                except Exception as error:
                    step = advance(self._flow, error=error)
                else:
                    step = advance(self._flow, reply)
            self.value = step.value
        finally:
            self._flow.close()
            self._close()

    def _carry_out(self, step: Step) -> object:
        match step:
            case Send(request):
                with closing(self._transport.send(request)) as response:
                    return answer_of(response, response.read())
            case Open(request):
                return self._open(request)
            case Read():
                assert self._response is not None
                self._body = self._body or self._response.iter_bytes()
                return next(self._body, None)
            case ReadEvent():
                assert self._response is not None
                self._body = self._body or iter(httpx2.EventSource(self._response, EVENT_BYTES))
                return next(self._body, None)
            case Close():
                self._close()
            case Pause(seconds):
                time.sleep(seconds)
            case Work(function) | Notify(function):
                return function()
        return None

    def _open(self, request: Request) -> Answer:
        self._close()
        self._response = response = self._transport.send(request)
        if is_stream(response):
            return answer_of(response)
        content = response.read()
        self._close()
        return answer_of(response, content)

    def _close(self) -> None:
        response, self._response, self._body = self._response, None, None
        if response is not None:
            response.close()
