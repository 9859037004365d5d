"""How replicas call the job store actor: find it by name, gather operations, wait for it."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, TypeVar

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RaySystemError, RayTaskError, RpcError
from ray.util import list_named_actors

from acestep_ray.jobs.client import PATIENCE, LeaseRequest
from acestep_ray.jobs.coordinator.change_log import Changes, Entries
from acestep_ray.jobs.events import EventId, JobEvent, Topic
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import QueueStats, State
from acestep_ray.jobs.store.answers import Answer, answered
from acestep_ray.jobs.store.errors import StoreError, StoreFull, StoreUnavailable
from acestep_ray.jobs.store.operations import KeepAlive, Op, Operation
from acestep_ray.jobs.store.records import DeliveryRecord, JobRecord
from acestep_ray.jobs.webhook import ProgressDelivery
from acestep_ray.replicas.registry import Registration, RegistrySnapshot
from acestep_ray.settings import Settings
from acestep_ray.shared_work import SharedCall, start_task
from deployments.job_store_actor import MAX_CALLS, RemoteJobStoreActor
from deployments.names import NAMESPACE, STORE_ACTOR_PREFIX, STORE_PROTOCOL, store_actor_name

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BATCH = 500
"""Most operations per call."""
STORE_RESOURCE_AMOUNT = 0.001
"""How much the actor requests of the Ray resource that marks its nodes. It must be above 0, and
small, so that the resource is not used up."""


def store_actors() -> dict[int, str]:
    """Names of the existing job store actors, by protocol version."""
    return {
        int(match[1]): str(actor["name"])
        for actor in list_named_actors(all_namespaces=True)
        if actor["namespace"] == NAMESPACE
        and (match := re.fullmatch(rf"{STORE_ACTOR_PREFIX}(\d+)", actor["name"]))
    }


def find_or_create(settings: Settings, protocol: int = STORE_PROTOCOL) -> ActorHandle[Any]:
    """The job store actor of this protocol version or a newer one; created if there is none.

    An actor of an older version is killed first: its data is on disk, and the new actor waits for
    the lock of the store.
    """
    found = store_actors()
    newest = max(found, default=0)
    if newest > protocol:
        return ray.get_actor(found[newest], namespace=NAMESPACE)
    for number, name in found.items():
        if number < protocol:
            logger.warning("Replacing the job store actor %s by version %d.", name, protocol)
            ray.kill(ray.get_actor(name, namespace=NAMESPACE), no_restart=True)
    options: Any = RemoteJobStoreActor.options(
        name=store_actor_name(protocol),
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        resources={settings.store_resource: STORE_RESOURCE_AMOUNT}
        if settings.store_resource
        else {},
        max_restarts=-1,
        max_task_retries=-1,
        max_concurrency=MAX_CALLS,
    )
    actor: ActorHandle[Any] = options.remote(settings)
    return actor


class _Vanished(Exception):
    """The actor was replaced at this moment; find it again."""


class RayJobStoreClient:
    """One per process. Any number of coroutines may call at once.

    Operations that arrive during a call wait, and are then sent together in one call. Under load,
    many requests are one actor call, and one transaction on disk.
    """

    def __init__(self, settings: Settings, protocol: int = STORE_PROTOCOL) -> None:
        self._settings = settings
        self._protocol = protocol
        self._actor: ActorHandle[Any] | None = None
        self._find_once = SharedCall(self._find)
        self._waiting: list[tuple[Op, float, asyncio.Future[object]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def apply(self, op: Operation[object, Answer], patience: float = PATIENCE) -> Answer:
        """Apply one operation.

        Raises its StoreError, or StoreUnavailable if the store is unavailable for ``patience``
        seconds (the operation may then still be applied: repeat it with the same arguments).
        """
        # Sent separately: a runner must not lose its leases because another write has to wait.
        send = self._separately if isinstance(op, KeepAlive) else self._with_others
        return answered(op, await send(op, patience))

    async def _separately(self, op: Op, patience: float) -> object:
        answers: list[object] = await self.call(lambda actor: actor.apply.remote([op]), patience)
        return answers[0]

    async def _with_others(self, op: Op, patience: float) -> object:
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
        """The actor's results. If the batch fails, each operation is sent separately."""
        try:
            return await self.call(lambda actor: actor.apply.remote(ops), patience)
        except StoreUnavailable as error:
            if isinstance(error, StoreFull) and len(ops) > 1:
                return [(await self._answers([op], patience))[0] for op in ops]
            return [error] * len(ops)
        except Exception as error:
            if len(ops) == 1:
                return [error]
            return [(await self._answers([op], patience))[0] for op in ops]

    async def call(
        self, method: Callable[[ActorHandle[Any]], Awaitable[T]], patience: float = PATIENCE
    ) -> T:
        """Call the actor. If it is gone or cannot write, find it again and repeat the call, for up
        to ``patience`` seconds. Raises StoreUnavailable."""
        deadline = time.monotonic() + patience
        pause = 0.05
        while True:
            try:
                async with asyncio.timeout(max(0.1, deadline - time.monotonic())):
                    actor = self._actor or await self._find_once()
                    # In a request's context, Ray would cancel the call when the client disconnects.
                    return await _unwrapped(Context().run(method, actor))
            except StoreFull:
                raise  # it lasts, and other operations of the batch may succeed
            except (RayActorError, StoreUnavailable, TimeoutError, _Vanished) as error:
                if not isinstance(error, StoreUnavailable):
                    self._actor = None
                if time.monotonic() + pause >= deadline:
                    why = str(error) or f"no answer came in {patience:.0f} s"
                    logger.warning("The job store does not answer: %s", why)
                    raise StoreUnavailable(why) from error
                await asyncio.sleep(pause)
                pause = min(1.0, pause * 2)

    async def _find(self) -> ActorHandle[Any]:
        try:
            self._actor = await asyncio.to_thread(find_or_create, self._settings, self._protocol)
        except ValueError as error:
            raise _Vanished("its name vanished between listing and looking up") from error
        except (RaySystemError, RpcError) as error:
            raise _Vanished(f"Ray does not answer: {error}") from error
        return self._actor

    async def lease(self, request: LeaseRequest, patience: float = PATIENCE) -> list[JobRecord]:
        """See JobStoreClient."""
        return await self.call(lambda actor: actor.lease.remote(request), patience)

    async def report(self, progress: list[tuple[str, int, Progress]]) -> None:
        """See JobStoreClient."""
        await self.call(lambda actor: actor.report.remote(progress))

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        """See JobStoreClient."""
        return await self.call(
            lambda actor: actor.changes.remote(since, seconds), seconds + PATIENCE
        )

    async def events(
        self, since: EventId | None, seconds: float, topic: Topic | None = None
    ) -> Entries[JobEvent]:
        """See JobStoreClient."""
        return await self.call(
            lambda actor: actor.events.remote(since, seconds, topic), seconds + PATIENCE
        )

    async def state(self, topic: Topic) -> State:
        """See JobStoreClient."""
        return await self.call(lambda actor: actor.state.remote(topic))

    async def deliveries(
        self, limit: int, lease_seconds: float, wait_seconds: float
    ) -> list[DeliveryRecord | ProgressDelivery]:
        """See JobStoreClient."""
        request_id = uuid.uuid4().hex  # the same if the call is repeated
        return await self.call(
            lambda actor: actor.deliveries.remote(request_id, limit, lease_seconds, wait_seconds),
            wait_seconds + PATIENCE,
        )

    async def stats(self) -> QueueStats:
        """See JobStoreClient."""
        return await self.call(lambda actor: actor.stats.remote())

    async def register(self, registration: Registration, seconds: float) -> None:
        """See JobStoreActor.register."""
        await self.call(
            lambda actor: actor.register.remote(registration, seconds), seconds + PATIENCE
        )

    async def replicas(self) -> RegistrySnapshot:
        """See JobStoreClient."""
        return await self.call(lambda actor: actor.replicas.remote())


async def _unwrapped(call: Awaitable[T]) -> T:
    """Await an actor call. Raises the actor's error instead of Ray's wrapper."""
    try:
        return await call
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, (StoreUnavailable, StoreError)):
            raise cause from error
        raise
