"""A newer version's actor replaces an older one, never the reverse; no job is lost."""

import asyncio
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.operations import Get, Submit
from acestep_ray.settings import Settings
from deployments.job_store_client import RayJobStoreClient
from deployments.names import NAMESPACE, store_actor_name
from tests.service import PATIENCE


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    os.environ["RAY_AUTH_MODE"] = "disabled"
    ray.init(
        "local", num_cpus=1, include_dashboard=False, namespace="elsewhere", log_to_driver=False
    )
    yield
    ray.shutdown()


async def submit(client: RayJobStoreClient) -> str:
    job_id = str(uuid.uuid4())
    await client.apply(Submit(job_id, "{}", needs_plan=False, max_queued=10_000), PATIENCE)
    return job_id


def lives(protocol: int) -> bool:
    try:
        ray.get_actor(store_actor_name(protocol), namespace=NAMESPACE)
    except ValueError:
        return False
    return True


async def test_a_rolling_upgrade_loses_no_job(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    old, new = RayJobStoreClient(settings, protocol=1), RayJobStoreClient(settings, protocol=2)
    ids = [await submit(old) for _ in range(20)]
    assert lives(1)

    stop = asyncio.Event()

    async def old_replica() -> list[str]:
        """An ingress of the old version submits jobs during the whole upgrade."""
        submitted = []
        while not stop.is_set():
            submitted.append(await submit(old))
        return submitted

    busy = asyncio.create_task(old_replica())
    ids += [await submit(new) for _ in range(20)]
    assert lives(2)
    assert not lives(1)
    # Old replicas that still exist use the newer actor; they never bring their own back.
    ids += [await submit(old) for _ in range(20)]
    late = RayJobStoreClient(settings, protocol=1)
    ids += [await submit(late)]
    stop.set()
    ids += await busy
    assert lives(2)
    assert not lives(1)
    for job_id in ids:
        snapshot = await new.apply(Get(job_id))
        assert snapshot.record.status == Status.QUEUED
    assert len(set(ids)) == len(ids)
