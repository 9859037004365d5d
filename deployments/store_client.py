"""How replicas talk to the job store actor: found by name, calls gathered, outages waited out."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, TypeVar

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayTaskError
from ray.util import list_named_actors

from acestep_ray.api.service import ServiceUnavailable, StoreIsFull
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.roster import Announcement, RosterView, Version
from acestep_ray.jobs.snapshot import Capacity, Changes, QueueStats
from acestep_ray.jobs.store.protocol import KeepAlive, Op, StoreError, StoreFull, StoreUnavailable
from acestep_ray.settings import Settings
from acestep_ray.shared_work import start_task
from deployments.job_store import MAX_CALLS, RemoteJobStore
from deployments.names import NAMESPACE, STORE_ACTOR_PREFIX, STORE_PROTOCOL, store_actor_name

logger = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds a call waits out a store that is away, unless told otherwise."""
MAX_BATCH = 500
"""Operations a call carries at most."""
NEXT_TO_NOTHING = 0.001
"""Of the resource that tells where the actor may run; it is there to tell, not to be used up."""


def store_actors() -> dict[int, str]:
    """Names of the job store actors that there are, by protocol version."""
    return {
        int(match[1]): str(actor["name"])
        for actor in list_named_actors(all_namespaces=True)
        if actor["namespace"] == NAMESPACE
        and (match := re.fullmatch(rf"{STORE_ACTOR_PREFIX}(\d+)", actor["name"]))
    }


def find_or_create(settings: Settings, protocol: int = STORE_PROTOCOL) -> ActorHandle[Any]:
    """The job store actor of this protocol version or a newer one; created where there is none.

    An actor of an older version is killed first: its store's truth is on disk, and the new actor
    waits for the lock on it.
    """
    found = store_actors()
    newest = max(found, default=0)
    if newest > protocol:
        return ray.get_actor(found[newest], namespace=NAMESPACE)
    for number, name in found.items():
        if number < protocol:
            logger.warning("Replacing the job store actor %s by version %d.", name, protocol)
            ray.kill(ray.get_actor(name, namespace=NAMESPACE), no_restart=True)
    options: Any = RemoteJobStore.options(
        name=store_actor_name(protocol),
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        resources={settings.store_resource: NEXT_TO_NOTHING} if settings.store_resource else {},
        max_restarts=-1,
        max_task_retries=-1,
        max_concurrency=MAX_CALLS,
    )
    actor: ActorHandle[Any] = options.remote(settings)
    return actor


class _Vanished(Exception):
    """The actor was replaced at this moment; look again."""


class StoreClient:
    """One a process. Any number of coroutines may call at once.

    Operations that arrive while a call is under way wait and then go together in one: under load
    that is one actor call, and one transaction on disk, for many requests.
    """

    def __init__(self, settings: Settings, protocol: int = STORE_PROTOCOL) -> None:
        self._settings = settings
        self._protocol = protocol
        self._actor: ActorHandle[Any] | None = None
        self._waiting: list[tuple[Op, float, asyncio.Future[object]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def apply(self, op: Op, patience: float = PATIENCE) -> Any:
        """Apply one operation.

        Raises its StoreError, or ServiceUnavailable when the store stays away for ``patience``
        seconds (it may then still happen: repeat it with the same arguments).
        """
        if isinstance(op, KeepAlive):
            # Alone: a runner must not lapse behind a write that the store cannot take right now.
            await self.call(lambda actor: actor.apply.remote([op]), patience)
            return None
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._waiting.append((op, time.monotonic() + patience, future))
        if self._sender is None or self._sender.done():
            self._sender = start_task(self._send())
        return await future

    async def _send(self) -> None:
        while self._waiting:
            batch = [entry for entry in self._waiting[:MAX_BATCH] if not entry[2].done()]
            del self._waiting[:MAX_BATCH]
            if not batch:
                continue
            patience = max(deadline for _, deadline, _ in batch) - time.monotonic()
            ops = [op for op, _, _ in batch]
            answers = await self._answers(ops, patience)
            for (_, _, future), answer in zip(batch, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    async def _answers(self, ops: list[Op], patience: float) -> list[object]:
        """The actor's answers; where it fails on the batch, each operation by itself."""
        try:
            return await self.call(lambda actor: actor.apply.remote(ops), patience)
        except ServiceUnavailable as error:
            return [error] * len(ops)
        except Exception as error:
            if len(ops) == 1:
                full = isinstance(error, StoreFull)
                return [StoreIsFull(str(error)) if full else error]
            return [(await self._answers([op], patience))[0] for op in ops]

    async def call(
        self, method: Callable[[ActorHandle[Any]], Awaitable[T]], patience: float = PATIENCE
    ) -> T:
        """Call the actor; when it is gone or cannot write, find it anew and repeat."""
        deadline = time.monotonic() + patience
        pause = 0.05
        while True:
            try:
                if self._actor is None:
                    self._actor = await start_task(asyncio.to_thread(self._find))
                left = max(0.1, deadline - time.monotonic())
                async with asyncio.timeout(left):
                    # In a request's context, Ray would cancel the call when the client hangs up.
                    return await _plain(Context().run(method, self._actor))
            except StoreFull:
                raise  # it will be so for a while, and not for all operations
            except (RayActorError, StoreUnavailable, TimeoutError, _Vanished) as error:
                if not isinstance(error, StoreUnavailable):
                    self._actor = None
                if time.monotonic() + pause >= deadline:
                    why = str(error) or f"no answer came in {patience:.0f} s"
                    logger.warning("The job store does not answer: %s", why)
                    raise ServiceUnavailable(why) from error
                await asyncio.sleep(pause)
                pause = min(1.0, pause * 2)

    def _find(self) -> ActorHandle[Any]:
        try:
            return find_or_create(self._settings, self._protocol)
        except ValueError as error:
            raise _Vanished("its name vanished between listing and looking up") from error

    async def report(
        self, runner: str, capacity: Capacity, progress: list[tuple[str, int, Progress]]
    ) -> None:
        """See JobDesk.report."""
        await self.call(lambda actor: actor.report.remote(runner, capacity, progress))

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        """See JobDesk.changes."""
        return await self.call(
            lambda actor: actor.changes.remote(since, seconds), seconds + PATIENCE
        )

    async def stats(self) -> QueueStats:
        """See JobDesk.stats."""
        return await self.call(lambda actor: actor.stats.remote())

    async def announce(self, announcement: Announcement, seconds: float) -> None:
        """See JobStoreActor.announce."""
        await self.call(
            lambda actor: actor.announce.remote(announcement, seconds), seconds + PATIENCE
        )

    async def roster(self, seen: Version | None, seconds: float) -> RosterView:
        """See Roster.changed."""
        return await self.call(lambda actor: actor.roster.remote(seen, seconds), seconds + PATIENCE)


async def _plain(call: Awaitable[T]) -> T:
    """Await an actor call; raise what the actor raised, not Ray's wrapping of it."""
    try:
        return await call
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, (StoreUnavailable, StoreError)):
            raise cause from error
        raise
