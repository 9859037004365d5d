"""What code works for is known in its tasks and threads, and nowhere else."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from acestep_ray.shared_work import SharedCall, start_task, to_the_end
from acestep_ray.work_context import NO_WORK, WorkContext, work_context, work_for


async def now() -> WorkContext:
    await asyncio.sleep(0)
    return work_context()


async def test_values_are_added_within_a_block() -> None:
    with work_for(request_id="r"):
        with work_for(job_id="j", attempt=1):
            assert work_context() == WorkContext("r", "j", 1)
        assert work_context() == WorkContext("r")
    assert work_context() == NO_WORK


async def test_tasks_and_threads_of_a_request_have_it() -> None:
    with work_for(request_id="r"):
        assert (await asyncio.create_task(now())).request_id == "r"
        assert (await asyncio.to_thread(work_context)).request_id == "r"
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(copy_context().run, work_context).result().request_id == "r"


async def test_work_that_outlives_its_request_has_it() -> None:
    with work_for(request_id="r"):
        assert (await to_the_end(now())).request_id == "r"


async def test_work_that_is_shared_has_it_of_no_request() -> None:
    with work_for(request_id="r"):
        assert await SharedCall(now)() == NO_WORK
        assert await start_task(now()) == NO_WORK
        assert (await start_task(now(), works_for=work_context())).request_id == "r"


async def test_a_generator_may_be_closed_by_another_task() -> None:
    """As Serve does when a caller is gone."""

    async def events() -> AsyncGenerator[int, None]:
        with work_for(job_id="j"):
            while True:
                yield 1

    stream = events()
    await asyncio.create_task(anext(stream))
    await asyncio.create_task(stream.aclose())
    assert work_context() == NO_WORK
