"""Calls to the job store actor, as replicas make them."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from acestep_ray.jobs.store.errors import JobNotFound
from acestep_ray.jobs.store.operations import Delete, Get, IsOwner, KeepAlive, Op, Purge
from acestep_ray.settings import Settings
from deployments.job_store_client import RayJobStoreClient


class Actor:
    """The job store actor. A test sets the results of its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Sequence[Op], asyncio.Future[list[object]]]] = []
        self.apply = SimpleNamespace(remote=self._apply)

    def _apply(self, batch: Sequence[Op]) -> asyncio.Future[list[object]]:
        answers: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()
        self.calls.append((batch, answers))
        return answers

    async def called(self, times: int) -> None:
        async with asyncio.timeout(60):
            while len(self.calls) < times:
                await asyncio.sleep(0)


def client_of(actor: Any) -> RayJobStoreClient:
    client = RayJobStoreClient(Settings())
    client._actor = actor
    return client


async def test_a_call_that_is_cancelled_while_its_answer_comes_is_cancelled() -> None:
    """Otherwise a replica that is to stop would register for ever, and keep its GPU."""
    client = client_of(object())
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    call = asyncio.create_task(client.call(lambda _: answer))
    for _ in range(5):
        await asyncio.sleep(0)
    answer.set_result(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_operations_that_come_during_a_call_go_together_and_each_gets_its_answer() -> None:
    actor = Actor()
    client = client_of(actor)
    first = asyncio.create_task(client.apply(IsOwner("a", 1)))
    await actor.called(1)
    purge, unknown = Purge(1, 1, 1), Get("nobody")
    expired, nobody = (asyncio.create_task(client.apply(op)) for op in (purge, unknown))
    await asyncio.sleep(0)
    actor.calls[0][1].set_result([True])
    assert await first is True
    await actor.called(2)
    assert actor.calls[1][0] == [purge, unknown]
    actor.calls[1][1].set_result([3, JobNotFound("There is no job nobody.")])
    assert await expired == 3
    with pytest.raises(JobNotFound):
        await nobody


async def test_a_runner_lives_while_another_write_waits() -> None:
    actor = Actor()
    client = client_of(actor)
    write = asyncio.create_task(client.apply(Delete("a")))
    await actor.called(1)
    alive = asyncio.create_task(client.apply(KeepAlive("r", 60.0)))
    await actor.called(2)
    assert actor.calls[1][0] == [KeepAlive("r", 60.0)]
    for _, answers in reversed(actor.calls):
        answers.set_result([None])
    await asyncio.gather(alive, write)
