"""Jobs for the runner, and how the tests wait for their results."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.operations import Get, Submit
from acestep_ray.planner.protocol import PlanParameters, Writing
from tests.unit.jobs.local_client import LocalClient

LM = PlanParameters(backend="mock")
SAMPLE = PlanParameters(backend="mock", writing=Writing(kind="sample", query="rain"))


async def submit(client: LocalClient, job: JobSpec) -> str:
    job_id = str(uuid.uuid4())
    await client.apply(Submit(job_id, job.model_dump_json(), needs_plan=job.needs_plan))
    return job_id


async def see(client: LocalClient, job_id: str) -> Snapshot:
    return await client.apply(Get(job_id))


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def reaches(client: LocalClient, job_id: str, status: Status) -> Snapshot:
    async def there() -> bool:
        return (await see(client, job_id)).record.status == status

    await until(there)
    return await see(client, job_id)
