"""Tasks that belong to no request, and calls that many callers wait for."""

import asyncio
from contextvars import ContextVar

import pytest

from acestep_ray.shared_work import SharedCall, start_task, to_the_end

request: ContextVar[str] = ContextVar("request", default="none")


async def current_request() -> str:
    await asyncio.sleep(0)
    return request.get()


async def test_a_task_does_not_belong_to_the_request_that_starts_it() -> None:
    request.set("A")
    assert await start_task(current_request()) == "none"
    assert await SharedCall(current_request)() == "none"


class Gate:
    """A function that returns when the test lets it."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[str]] = []

    async def __call__(self) -> str:
        self.calls.append(asyncio.get_running_loop().create_future())
        return await self.calls[-1]


async def under_way(gate: Gate, calls: int) -> None:
    while len(gate.calls) < calls:
        await asyncio.sleep(0)


async def test_one_call_answers_all_who_ask_meanwhile() -> None:
    gate = Gate()
    call = SharedCall(gate.__call__)
    both = [asyncio.ensure_future(call()) for _ in range(2)]
    await under_way(gate, 1)
    gate.calls[0].set_result("found")
    assert await asyncio.gather(*both) == ["found", "found"]
    assert len(gate.calls) == 1
    later = asyncio.ensure_future(call())
    await under_way(gate, 2)
    gate.calls[1].set_result("found anew")
    assert await later == "found anew"


async def test_one_who_is_gone_ends_nothing_for_the_others() -> None:
    gate = Gate()
    call = SharedCall(gate.__call__)
    first, second = asyncio.ensure_future(call()), asyncio.ensure_future(call())
    await under_way(gate, 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.calls[0].set_result("found")
    assert await second == "found"
    assert len(gate.calls) == 1


async def test_an_error_is_everybody_s_and_the_next_call_tries_again() -> None:
    gate = Gate()
    call = SharedCall(gate.__call__)
    both = [asyncio.ensure_future(call()) for _ in range(2)]
    await under_way(gate, 1)
    gate.calls[0].set_exception(OSError("away"))
    assert [str(error) for error in await asyncio.gather(*both, return_exceptions=True)] == [
        "away",
        "away",
    ]
    again = asyncio.ensure_future(call())
    await under_way(gate, 2)
    gate.calls[1].set_result("found")
    assert await again == "found"


async def test_work_is_done_to_the_end_although_its_caller_is_cancelled() -> None:
    gate = Gate()
    handed: list[asyncio.Future[str]] = []
    caller = asyncio.ensure_future(to_the_end(gate(), handed.append))
    await under_way(gate, 1)
    caller.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not caller.done() and not handed[0].done()
    gate.calls[0].set_result("done")
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert handed[0].result() == "done"


async def test_work_that_fails_after_its_caller_was_cancelled_hides_nothing() -> None:
    gate = Gate()
    caller = asyncio.ensure_future(to_the_end(gate()))
    await under_way(gate, 1)
    caller.cancel()
    gate.calls[0].set_exception(OSError("away"))
    with pytest.raises(asyncio.CancelledError):
        await caller
