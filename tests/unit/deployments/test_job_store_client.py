"""Calls to the job store actor, as replicas make them."""

import asyncio
from typing import Any

import pytest

from acestep_ray.settings import Settings
from deployments.job_store_client import RayJobStoreClient


async def test_a_call_that_is_cancelled_while_its_answer_comes_is_cancelled() -> None:
    """Else a replica that is to stop announcing itself went on for ever, and kept its GPU."""
    client = RayJobStoreClient(Settings())
    actor: Any = object()
    client._actor = actor
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    call = asyncio.create_task(client.call(lambda _: answer))
    for _ in range(5):
        await asyncio.sleep(0)
    answer.set_result(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
