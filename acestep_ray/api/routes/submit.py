"""Queues a job whose request was accepted: first its audio is stored, then the job is queued."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from acestep_ray.api.dependencies import AppContext
from acestep_ray.api.request.source_audio import SourceFile
from acestep_ray.artifacts.keys import source_key, sources_prefix
from acestep_ray.decoder.protocol import SourceAudio
from acestep_ray.jobs.decode_cost import decoder_work, length_of
from acestep_ray.jobs.plan_cost import plan_slots
from acestep_ray.jobs.spec import JobSpec
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound, StoreUnavailable
from acestep_ray.jobs.store.operations import Submit
from acestep_ray.jobs.store.records import Submitted
from acestep_ray.jobs.webhook import PROGRESS_KINDS, Webhook
from acestep_ray.shared_work import start_task, to_the_end
from acestep_ray.work_context import work_context, work_for

logger = logging.getLogger(__name__)

OnHangUp = Callable[[asyncio.Future[Submitted]], None]
"""Called with the submit of a client that has disconnected; it continues."""

LOOKS = 20
LOOK_PAUSE = 3.0
"""If the job store did not respond to a submit: how many times the job is read, and the seconds
between two tries."""

_settling: set[asyncio.Task[None]] = set()


async def submit(
    job_id: str,
    spec: JobSpec,
    sources: Sequence[SourceFile],
    context: AppContext,
    *,
    webhook: Webhook | None,
    owner: str,
    idempotency_key: str | None,
    fingerprint: str,
    on_hang_up: OnHangUp | None = None,
) -> Submitted:
    """Store the audio and queue the job. If no new job is made, the audio is removed again.
    ``on_hang_up`` is called if the client disconnects before this returns.

    Raises what JobService.submit raises, and StorageError.
    """
    for one in sources:
        audio = SourceAudio(
            key=source_key(job_id, one.role),
            sample_rate=one.audio.sample_rate,
            channels=one.audio.channels,
            samples=one.audio.samples,
        )
        decode = spec.decode.model_copy(update={one.role: audio})
        spec = spec.model_copy(update={"decode": decode})
    work = work_context()
    attributes = {
        "acestep.job_id": job_id,
        "acestep.task": spec.decode.task,
        "acestep.request_id": work.request_id,
    }
    span = context.tracer.start("submit", parent=work.trace, kind="producer", attributes=attributes)
    spec = spec.model_copy(update={"request_id": work.request_id, "trace": span.trace})
    order = Submit(
        job_id=job_id,
        spec=spec.model_dump_json(),
        needs_plan=spec.needs_plan,
        owner=owner,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        max_queued=context.settings.limits.queue,
        planner=spec.plan.planner if spec.plan else "",
        decoder=spec.decode.decoder,
        work=decoder_work(spec, length_of(spec, context.settings)),
        plans=plan_slots(spec, context.settings),
        task=spec.decode.task,
        webhook=webhook.model_dump_json() if webhook else "",
        webhook_kinds=_stored_kinds(webhook) if webhook else (),
    )
    with span, work_for(job_id=job_id):
        # A job is queued completely or not at all, also if the client disconnects.
        submitted = await to_the_end(_store_and_queue(order, sources, context), on_hang_up)
        span.set("acestep.job_id", submitted.job_id)
    with work_for(job_id=submitted.job_id):
        logger.info("The job is queued." if submitted.created else "The job was queued before.")
    return submitted


def _stored_kinds(webhook: Webhook) -> tuple[str, ...]:
    """The kinds of messages that are stored with their change. Progress is not stored."""
    return tuple(str(kind) for kind in webhook.events if kind not in PROGRESS_KINDS)


async def _store_and_queue(
    order: Submit, sources: Sequence[SourceFile], context: AppContext
) -> Submitted:
    if not sources:
        return await context.service.submit(order)
    try:
        for one in sources:
            await context.artifacts.put_file(source_key(order.job_id, one.role), one.file)
        submitted = await context.service.submit(order)
    except StoreUnavailable:
        # The job may be queued nevertheless; then it needs its audio.
        task = start_task(_settle(order.job_id, context), works_for=work_context())
        _settling.add(task)
        task.add_done_callback(_settling.discard)
        raise
    except BaseException:
        await _remove(order.job_id, context)
        raise
    if not submitted.created:
        await _remove(order.job_id, context)
    return submitted


async def _settle(job_id: str, context: AppContext) -> None:
    """Remove the audio of a submit without a response, if the store reports that it has no such
    job."""
    for _ in range(LOOKS):
        await asyncio.sleep(LOOK_PAUSE)
        try:
            await context.service.get(job_id)
        except StoreUnavailable:
            continue
        except JobNotFound:
            await _remove(job_id, context)
        except JobExpired:
            pass  # the job and its audio were deleted meanwhile
        return
    logger.warning("The audio of job %s stays: the job store does not say if it is queued.", job_id)


async def _remove(job_id: str, context: AppContext) -> None:
    try:
        await context.artifacts.delete_prefix(sources_prefix(job_id))
    except Exception:
        # The client must get the reason why its job was not queued, not the error of this removal.
        logger.exception("The audio of job %s, which was not queued, could not be removed", job_id)
