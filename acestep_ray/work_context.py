"""For which request and which job the present code works: its log lines and spans hold that.

It belongs to a task (a context variable), and is inherited by the tasks and by the calls of
``asyncio.to_thread`` that the task starts. Threads of a pool get it by
``contextvars.copy_context``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class WorkContext:
    """``request_id``: of the HTTP request that this is for, or that submitted the job.
    ``attempt``: see "attempt" in docs/architecture.md; 0 before the first. ``trace``: the
    traceparent of the span that new spans belong to. Empty: there is none."""

    request_id: str = ""
    job_id: str = ""
    attempt: int = 0
    trace: str = ""


NO_WORK = WorkContext()
"""For nobody in particular."""
_current: ContextVar[WorkContext] = ContextVar("acestep_work", default=NO_WORK)


def work_context() -> WorkContext:
    """That of the present code."""
    return _current.get()


@contextmanager
def work_for(**changes: Any) -> Iterator[None]:
    """Within the block, the context has these values, and otherwise those from before.

    In an asynchronous generator, the code that reads it has them too, from one event to the next:
    it must read it in a task of its own, or work for the same job.
    """
    before = _current.get()
    token = _current.set(replace(before, **changes))
    try:
        yield
    finally:
        try:
            _current.reset(token)
        except ValueError:  # a generator that another task closes
            _current.set(before)


def inherit(work: WorkContext) -> None:
    """Let the present task work for what another one works for."""
    _current.set(work)
