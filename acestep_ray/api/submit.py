"""Queues a job whose request was found good: its audio into storage first, then the job."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from acestep_ray.api.context import Context
from acestep_ray.api.service import ServiceUnavailable
from acestep_ray.api.sources import Brought
from acestep_ray.audio.keys import source_key, sources_prefix
from acestep_ray.decoder.protocol import SourceAudio
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.protocol import JobExpired, JobNotFound, Submit, Submitted
from acestep_ray.jobs.work import decoder_work, length_of
from acestep_ray.shared_work import start_task

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOOKS = 20
LOOK_PAUSE = 3.0
"""How often, and seconds between, a lost answer of the job store is looked for."""

_settling: set[asyncio.Task[None]] = set()


async def submit(
    job_id: str,
    spec: JobSpec,
    brought: Sequence[Brought],
    here: Context,
    *,
    owner: str,
    idempotency_key: str | None,
    fingerprint: str,
) -> Submitted:
    """Store the audio and queue the job. Where no new job comes of it, the audio goes again.

    Raises what JobService.submit raises, and StorageError.
    """
    for one in brought:
        audio = SourceAudio(
            key=source_key(job_id, one.role),
            sample_rate=one.audio.sample_rate,
            channels=one.audio.channels,
            samples=one.audio.samples,
        )
        spec = spec.model_copy(update={one.role: audio})
    order = Submit(
        job_id=job_id,
        spec=spec.model_dump_json(),
        needs_plan=spec.needs_plan,
        owner=owner,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        max_queued=here.settings.limits.queue,
        planner=spec.lm.planner if spec.lm else "",
        work=decoder_work(spec, length_of(spec, here.settings)),
    )
    return await _to_the_end(_store_and_queue(order, brought, here))


async def _store_and_queue(order: Submit, brought: Sequence[Brought], here: Context) -> Submitted:
    if not brought:
        return await here.service.submit(order)
    try:
        for one in brought:
            await here.artifacts.put_file(source_key(order.job_id, one.role), one.file)
        submitted = await here.service.submit(order)
    except ServiceUnavailable:
        # The job may be queued all the same, and then it needs its audio.
        task = start_task(_settle(order.job_id, here))
        _settling.add(task)
        task.add_done_callback(_settling.discard)
        raise
    except BaseException:
        await _remove(order.job_id, here)
        raise
    if not submitted.created:
        await _remove(order.job_id, here)
    return submitted


async def _settle(job_id: str, here: Context) -> None:
    """Remove the audio of a submit that went unanswered, once the store says that it has no such
    job."""
    for _ in range(LOOKS):
        await asyncio.sleep(LOOK_PAUSE)
        try:
            await here.service.get(job_id)
        except ServiceUnavailable:
            continue
        except JobNotFound:
            await _remove(job_id, here)
        except JobExpired:
            pass  # deleted meanwhile, and its audio with it
        return
    logger.warning("The audio of job %s stays: the job store does not say if it is queued.", job_id)


async def _remove(job_id: str, here: Context) -> None:
    try:
        await here.artifacts.delete_prefix(sources_prefix(job_id))
    except Exception:
        # The client is to hear why its job was not queued, not why the cleaning failed.
        logger.exception("The audio of job %s, which was not queued, could not be removed", job_id)


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` to its end even when the client hangs up: a job is queued whole or not."""
    task = start_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            logger.debug("The submit of a client that hung up failed: %s", error)
        raise
