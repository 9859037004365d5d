"""Jobs for the runner, and how the tests wait for what becomes of them."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.spec import JobSpec, LmSpec
from acestep_ray.jobs.store.operations import Get, Submit
from tests.unit.jobs.local_client import LocalClient

LM = LmSpec(
    backend="mock",
    infer_type="llm_dit",
    temperature=0.6,
    cfg_scale=1.0,
    negative_prompt="NO USER INPUT",
    top_k=None,
    top_p=None,
    repetition_penalty=1.0,
)


def spec(lm: LmSpec | None = None, **changes: Any) -> JobSpec:
    fields: dict[str, Any] = {
        "task": "text2music", "caption": "song", "lyrics": "", "vocal_language": "en",
        "bpm": None, "key_scale": "", "time_signature": "", "duration": None, "seeds": (1, 2),
        "steps": 8, "guidance_scale": 7.0, "shift": 3.0, "cfg_interval": (0.0, 1.0),
        "cover_strength": 1.0, "repaint_start": 0.0, "repaint_end": None, "track_name": "",
        "track_classes": (), "use_tiled_decode": True, "use_cot_caption": False, "source": None,
        "reference": None, "audio_format": "mp3", "model": "", "lm": lm,
    }  # fmt: skip
    return JobSpec(**(fields | changes))


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
