"""What is deployed, as requests see it: never older than a second, unless they cannot wait."""

import asyncio

import pytest

from acestep_ray.api.store_service import JobStoreService
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.replicas.registry import RegistrySnapshot
from tests.unit.api.harness import ApiHarness


async def test_a_submit_does_not_wait_for_a_look_at_the_replicas(
    api: ApiHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acestep_ray.api.store_service.DEPLOYED_SECONDS", -1.0)
    service = api.service
    looks = 0
    held = asyncio.Event()
    replicas = service._client.replicas

    async def look() -> RegistrySnapshot:
        nonlocal looks
        looks += 1
        await held.wait()
        if service.fail:
            raise service.fail
        return await replicas()

    monkeypatch.setattr(service._client, "replicas", look)

    async def deployed(*, at_once: bool) -> bool:
        return (await JobStoreService.deployed(service, at_once=at_once)).ready

    first = asyncio.create_task(deployed(at_once=True))
    await asyncio.sleep(0.01)
    assert not first.done(), "nothing is known yet"
    held.set()
    assert not await first
    service.register([1], [1])
    assert await deployed(at_once=True), "what is not ready is looked at again"

    held.clear()
    before = looks
    assert await deployed(at_once=True)
    waiting = asyncio.create_task(deployed(at_once=False))
    await asyncio.sleep(0.01)
    assert looks == before + 1, "one look, for both"
    assert not waiting.done()
    service.fail = StoreUnavailable("away")
    held.set()
    with pytest.raises(StoreUnavailable):
        await waiting
    assert await deployed(at_once=True)

    monkeypatch.setattr("acestep_ray.api.store_service.KNOWN_SECONDS", -1.0)
    with pytest.raises(StoreUnavailable):
        await deployed(at_once=True)
