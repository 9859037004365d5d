"""``POST /v1/chat/completions``: a song as a chat completion, whole or as a stream of events."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from acestep_ray.api.dependencies import AppContext, ContextDep
from acestep_ray.api.hang_up import while_connected
from acestep_ray.api.problems import Problem, ProblemCode
from acestep_ray.api.query_parameters import LONGEST_WAIT
from acestep_ray.api.request.body import Body
from acestep_ray.api.request.folder import Folder, request_folder
from acestep_ray.api.request.idempotency import IdempotencyKey, check_key
from acestep_ray.api.routes.accept import queue_job
from acestep_ray.api.upstream.chat_answer import Completion, song_of
from acestep_ray.api.upstream.chat_body import ChatBody, read_chat_body
from acestep_ray.api.upstream.chat_request import ChatTask, chat_task
from acestep_ray.api.upstream.lenient_request import admit_task
from acestep_ray.api.upstream.logged_warnings import log_warnings
from acestep_ray.api.upstream.views import ChatCompletionView
from acestep_ray.artifacts.store import StorageError
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.store.errors import (
    AlreadyEnded,
    JobExpired,
    JobNotFound,
    StoreUnavailable,
)
from acestep_ray.jobs.store.records import Submitted
from acestep_ray.shared_work import start_task, to_the_end

logger = logging.getLogger(__name__)

router = APIRouter(tags=["upstream"])

BEAT = 2.0
"""Seconds between two events of a stream while the song is made: proxies cut silent responses."""
_PAUSE = 1.0
"""Seconds between two tries to read a job while the job store is unavailable."""
_GONE = "The job was deleted."

_cancelling: set[asyncio.Task[None]] = set()


@router.post(
    "/v1/chat/completions",
    operation_id="chat_completions",
    summary="Make music, and wait for it (upstream's API)",
    response_model=ChatCompletionView,
)
async def chat_completions(
    request: Request, context: ContextDep, idempotency_key: IdempotencyKey = None
) -> StreamingResponse:
    """The takes as data: URLs, in one object or, with ``stream``, as server-sent events.

    A job is made of the request. If the client disconnects before the end, the job is cancelled,
    except one with an Idempotency-Key. docs/upstream.md has the fields.
    """
    check_key(idempotency_key)
    with request_folder() as folder:
        body = await read_chat_body(request, context, folder)
        task = await to_the_end(asyncio.to_thread(chat_task, body.fields, body.audio_of))
        submitted, model = await _submit(task, body, folder, context, idempotency_key)
    keep = idempotency_key is not None
    completion = Completion(submitted.job_id, f"acestep/{model}")
    headers = {
        "Location": context.url(f"/v1/jobs/{submitted.job_id}"),
        "Cache-Control": "no-store",
        **({} if submitted.created else {"Idempotency-Replayed": "true"}),
    }
    if task.stream:
        return _Stream(submitted.job_id, completion, context, headers, keep=keep)
    try:
        snapshot = await while_connected(request, _end_in_time(submitted.job_id, context))
    except (ClientDisconnect, asyncio.CancelledError):
        _abandon(submitted.job_id, context, keep=keep)
        raise
    pieces = completion.whole(await song_of(snapshot, context))
    headers["Content-Length"] = str(len(pieces))
    return StreamingResponse(pieces.stream(context), headers=headers, media_type="application/json")


async def _submit(
    task: ChatTask, body: ChatBody, folder: Folder, context: AppContext, key: str | None
) -> tuple[Submitted, str]:
    """Queue the job. Returns what was queued, and the name of the decoder model."""
    asked = Body(task.fields, False, task.files, body.fingerprint)
    accepted = await admit_task(asked, folder, context)
    decoders = (await context.service.deployed()).decoders

    def on_hang_up(queued: asyncio.Future[Submitted]) -> None:
        # The job must not be made for nobody.
        queued.add_done_callback(partial(_abandon_queued, context, key is not None))

    warnings = (*accepted.draft.spec.warnings, *task.warnings)
    spec = accepted.draft.spec.model_copy(update={"warnings": warnings})
    submitted, spec = await queue_job(
        replace(accepted.draft, spec=spec),
        accepted.checked,
        accepted.body,
        folder,
        context,
        idempotency_key=key,
        on_hang_up=on_hang_up,
    )
    log_warnings(submitted.job_id, spec.warnings)
    return submitted, spec.decode.model or (decoders[0].model if decoders else "")


async def _end(job_id: str, context: AppContext) -> Snapshot:
    """The job once it has ended. Waits as long as the job store is unavailable.

    Raises Problem 500 if the job was deleted.
    """
    snapshot: Snapshot | None = None
    while True:
        try:
            if snapshot is None:
                snapshot = await context.service.get(job_id)
            else:
                seen = snapshot.record.status
                snapshot = await context.service.wait(job_id, seen, LONGEST_WAIT)
        except StoreUnavailable:
            await asyncio.sleep(_PAUSE)
            continue
        except (JobNotFound, JobExpired):
            raise Problem(ProblemCode.JOB_FAILED, _GONE, extra={"job_id": job_id}) from None
        if snapshot.record.status.ended:
            return snapshot


async def _end_in_time(job_id: str, context: AppContext) -> Snapshot:
    seconds = context.settings.limits.completion_wait
    try:
        async with asyncio.timeout(seconds):
            return await _end(job_id, context)
    except TimeoutError:
        url = context.url(f"/v1/jobs/{job_id}")
        raise Problem(
            ProblemCode.STILL_RUNNING,
            f"The song was not ready after {seconds:g} seconds. Its job goes on: GET {url}.",
            headers={"Location": url, "Retry-After": "5"},
            extra={"job_id": job_id},
        ) from None


class _Stream(StreamingResponse):
    """A stream of server-sent events. If the client disconnects before the job has ended, the job
    is cancelled, unless it is to be kept."""

    def __init__(
        self,
        job_id: str,
        completion: Completion,
        context: AppContext,
        headers: dict[str, str],
        *,
        keep: bool,
    ) -> None:
        self._job_id = job_id
        self._completion = completion
        self._context = context
        self._keep = keep
        self._ended = False
        self._stream = self._events()
        # nginx keeps the events back without the second header.
        headers = {**headers, "X-Accel-Buffering": "no"}
        super().__init__(self._stream, headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self._stream):
                await super().__call__(scope, receive, send)
        finally:
            if not self._ended:
                _abandon(self._job_id, self._context, keep=self._keep)

    async def _events(self) -> AsyncGenerator[str | bytes, None]:
        completion = self._completion
        inside = False
        end = asyncio.create_task(_end(self._job_id, self._context))
        try:
            yield completion.chunk({"role": "assistant", "content": "Generating music"})
            while not (await asyncio.wait({end}, timeout=BEAT))[0]:
                yield completion.chunk({"content": "."})
            self._ended = True
            try:
                song = await song_of(end.result(), self._context)
                yield completion.chunk({"content": f"\n\n{song.content}"})
                async with aclosing(completion.takes(song).stream(self._context)) as pieces:
                    async for piece in pieces:
                        inside = True
                        yield piece
                inside = False
                yield completion.end(song)
            except Exception as error:
                # A client that waited for long must get a reason, whatever it is. If the event with
                # the takes was begun, it ends here: the failure is an event of its own.
                yield ("\n\n" if inside else "") + completion.failure(self._reason(error))
            yield "data: [DONE]\n\n"
        finally:
            end.cancel()

    def _reason(self, error: Exception) -> str:
        """Why the song is not sent, as a sentence; the log has the rest."""
        if isinstance(error, Problem):
            return str(error)
        job_id = self._job_id
        logger.error("The song of job %s could not be sent", job_id, exc_info=error)
        if isinstance(error, StorageError):
            return str(error)
        url = self._context.url(f"/v1/jobs/{job_id}")
        return f"The song could not be sent; its job can be read with GET {url}."


def _abandon(job_id: str, context: AppContext, *, keep: bool) -> None:
    """The client has gone, and so has the only response with the song; ``keep``: it has a key with
    which it can ask again."""
    if keep:
        return
    task = start_task(_cancel(job_id, context))
    _cancelling.add(task)
    task.add_done_callback(_cancelling.discard)


def _abandon_queued(context: AppContext, keep: bool, queued: asyncio.Future[Submitted]) -> None:
    """``_abandon``, once it is known whether the job was queued."""
    if not queued.cancelled() and queued.exception() is None:
        _abandon(queued.result().job_id, context, keep=keep)


async def _cancel(job_id: str, context: AppContext) -> None:
    try:
        await context.service.cancel(job_id)
    except (AlreadyEnded, JobNotFound, JobExpired):
        return
    except StoreUnavailable as error:
        logger.warning("Job %s, whose client has gone, is not cancelled: %s", job_id, error)
