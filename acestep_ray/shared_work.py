"""Work that many callers share, or that continues after its caller has gone.

A task inherits the context of the code that starts it, and in that context a server stores which
request is being processed. When that request's client disconnects, Ray cancels every actor call
that was made in the request's context, also calls by tasks that others wait for. So such tasks get
a context of their own; what they work for (work_context.py) can be passed on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

from acestep_ray.work_context import NO_WORK, WorkContext, inherit, work_context

T = TypeVar("T")

logger = logging.getLogger(__name__)


def start_task(
    work: Coroutine[Any, Any, T], name: str | None = None, works_for: WorkContext = NO_WORK
) -> asyncio.Task[T]:
    """Start ``work`` as a task that belongs to no request. ``works_for``: what its log lines and
    spans hold nevertheless."""
    context = Context()
    context.run(inherit, works_for)
    return asyncio.create_task(work, name=name, context=context)


async def to_the_end(
    work: Coroutine[Any, Any, T], on_cancel: Callable[[asyncio.Task[T]], None] | None = None
) -> T:
    """What ``work`` returns or raises. If the caller is cancelled, because its client disconnected,
    ``on_cancel`` gets the task of the work, and the cancellation waits for the work's end."""
    task = start_task(work, works_for=work_context())
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if on_cancel is not None:
            on_cancel(task)
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            logger.debug("Work whose caller was cancelled failed: %s", error)
        raise


class SharedCall(Generic[T]):
    """A call that is made once for all callers that ask while it is running. In one event loop."""

    def __init__(self, function: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._function = function
        self._task: asyncio.Task[T] | None = None

    def __call__(self) -> Awaitable[T]:
        """What the function returns or raises. A cancelled waiter does not end the call."""
        if self._task is None or self._task.done():
            self._task = start_task(self._function())
        return asyncio.shield(self._task)
