"""Which replica gets a job: Serve's own routing with IdleFirst, and replicas that only count."""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from ray.serve._private.common import (
    DeploymentHandleSource,
    DeploymentID,
    ReplicaID,
    RequestMetadata,
    RunningReplicaInfo,
)
from ray.serve._private.request_router.common import PendingRequest

from acestep_ray.decoder.jobs_in_hand import FIRST
from acestep_ray.decoder.protocol import AdapterUse, DecodeRequest
from acestep_ray.replicas.decoders import DECODER
from deployments import routing
from deployments.routing import ADAPTERS, FULL_ASKED, SLOTS, IdleFirst

DEPLOYMENT = DeploymentID(name=DECODER, app_name="acestep")


@dataclass(eq=False)
class Replica:
    """``held``: how many requests it has; a replica reports it when it is asked."""

    held: int = 0
    max_ongoing_requests: int = 2
    replica_id: ReplicaID = field(default_factory=lambda: ReplicaID(uuid.uuid4().hex, DEPLOYMENT))
    asked: int = 0
    routing_stats: dict[str, Any] = field(default_factory=dict)

    async def get_queue_len(self, *, deadline_s: float) -> int:
        self.asked += 1
        await asyncio.sleep(0)
        return self.held


def router_of(replicas: Sequence[Any], known: bool = True) -> IdleFirst:
    """A router that knows these replicas; ``known``: how many requests each of them holds."""
    router: IdleFirst = cast("Any", IdleFirst)(
        deployment_id=DEPLOYMENT,
        handle_source=DeploymentHandleSource.REPLICA,
        use_replica_queue_len_cache=True,
        create_replica_wrapper_func=lambda replica: replica,
    )
    router.initialize_state()
    router._replicas = {replica.replica_id: replica for replica in replicas}
    router._replicas_list = list(replicas)
    if known:
        for replica in replicas:
            router.on_new_queue_len_info(replica.replica_id, replica.held)
    return router


async def send(router: IdleFirst, *adapters: str) -> Any:
    """The replica that gets a job with these adapters; sent, and counted, as by Serve's router."""
    job = DecodeRequest(
        job_id="job",
        attempt=1,
        caption="",
        seconds=10,
        seeds=(1,),
        steps=8,
        guidance_scale=1,
        adapters=tuple(AdapterUse(name=name) for name in adapters),
    )
    request = PendingRequest([job], {}, RequestMetadata(uuid.uuid4().hex, uuid.uuid4().hex))
    replica: Any = await router._choose_replica_for_request(request)
    router.on_send_request(replica.replica_id)
    replica.held += 1
    await asyncio.sleep(0)
    router.on_new_queue_len_info(replica.replica_id, replica.held)
    return replica


async def test_the_idle_come_first_then_the_unknown_then_those_with_room() -> None:
    full, busy, unknown, idle, other, over = (Replica(held) for held in (2, 1, 0, 0, 0, 3))
    replicas: list[Any] = [full, busy, unknown, idle, other, over]
    router = router_of(replicas)
    router.replica_queue_len_cache.invalidate_key(unknown.replica_id)
    groups: list[set[Any]] = [set(group) for group in router.groups(replicas)]
    assert groups == [{idle, other}, {unknown}, {busy}]


def router_with_limits(*replicas: tuple[int, int | None]) -> tuple[IdleFirst, list[Any]]:
    """A router that was informed by Serve of replicas with 16 requests at most: how many each
    holds, and its own limit."""
    router, made = router_of([]), []
    by_name = {f"replica {number}": held for number, (held, _) in enumerate(replicas)}

    def wrapper(info: RunningReplicaInfo) -> Any:
        replica = Replica(by_name[info.actor_name], info.max_ongoing_requests, info.replica_id)
        made.append(replica)
        return replica

    router._create_replica_wrapper_func = wrapper
    infos = [
        RunningReplicaInfo(
            ReplicaID(uuid.uuid4().hex, DEPLOYMENT), None, None, None, f"replica {number}", 16,
            routing_stats={} if limit is None else {SLOTS: limit},
        )
        for number, (_, limit) in enumerate(replicas)
    ]  # fmt: skip
    router._update_running_replicas(infos)
    return router, made


@pytest.mark.parametrize("known", [True, False])
async def test_a_replica_is_full_at_its_own_limit_however_its_number_was_found(known: bool) -> None:
    router, (few, many, silent) = router_with_limits((2, 2), (5, 6), (FIRST - 1, None))
    for replica in (few, many, silent):
        if known:
            router.on_new_queue_len_info(replica.replica_id, replica.held)
        else:
            router.replica_queue_len_cache.invalidate_key(replica.replica_id)
    assert {await send(router) for _ in range(2)} == {many, silent}
    waiting = asyncio.create_task(send(router))  # all are full, and are asked again and again
    asked = few.asked
    while few.asked < asked + 3:
        await asyncio.sleep(0.01)
    assert not waiting.done()
    few.held = 1
    assert await waiting is few


@pytest.mark.parametrize("number", [1, 2, 40])
async def test_where_all_are_full_a_few_are_asked(number: int) -> None:
    replicas: list[Any] = [Replica(2) for _ in range(number)]
    (asked,) = router_of(replicas).groups(replicas)
    assert len(asked) == min(FULL_ASKED, number)


async def test_equals_are_taken_by_turns() -> None:
    """Serve takes the first of equals; in a fixed order, the same replica would get all jobs."""
    replicas: list[Any] = [Replica() for _ in range(5)]
    router = router_of(replicas)
    assert {router.groups(replicas)[0][0] for _ in range(200)} == set(replicas)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("busy", [0, 10])
async def test_no_two_of_many_go_to_the_same_while_another_is_idle(known: bool, busy: int) -> None:
    """They come together; the numbers of the replicas may be known, or too old to be used."""
    idle = [Replica() for _ in range(24)]
    router = router_of([*idle, *(Replica(1) for _ in range(busy))], known)
    chosen = Counter(await asyncio.gather(*(send(router) for _ in idle)))
    assert chosen == Counter(idle)


async def test_the_unknown_are_asked_once_for_all_that_come_together() -> None:
    replicas = [Replica() for _ in range(24)]
    router = router_of(replicas, known=False)
    await asyncio.gather(*(send(router) for _ in range(24)))
    assert {replica.asked for replica in replicas} == {1}


async def test_a_pause_is_made_between_two_tries() -> None:
    """Without it a job that waits for a place would use a whole core."""
    full = Replica(2)
    waiting = asyncio.create_task(send(router_of([full])))
    began = time.monotonic()
    while full.asked < 5:
        await asyncio.sleep(0.01)
    assert time.monotonic() - began > 0.1
    full.held = 1
    assert await waiting is full


async def test_a_job_goes_to_a_replica_that_has_its_adapters() -> None:
    idle_with, idle, room_with, room, full_with = (Replica(held) for held in (0, 0, 1, 1, 2))
    for replica in (idle_with, room_with, full_with):
        replica.routing_stats = {ADAPTERS: ["harp", "jazz"]}
    for replica in (idle, room):
        replica.routing_stats = {ADAPTERS: []}
    replicas = [idle, room, full_with, room_with, idle_with]
    router = router_of(replicas)
    assert await send(router, "jazz") is idle_with
    assert await send(router, "jazz") is idle, "an idle one is better than one that is at work"
    assert await send(router, "jazz", "harp") in (room_with, idle_with)
    for replica in replicas:
        replica.held = 1
        router.on_new_queue_len_info(replica.replica_id, 1)
    assert await send(router, "jazz") in (idle_with, room_with, full_with)
    router = router_of([Replica(0), Replica(1)])
    assert (await send(router, "jazz")).held == 1, "nobody has it: the idle one"


async def test_replicas_of_earlier_code_get_no_job_with_adapters() -> None:
    old, new = Replica(0), Replica(1, routing_stats={ADAPTERS: []})
    router = router_of([old, new])
    assert await send(router, "jazz") is new
    assert await send(router) is old


async def test_a_replica_is_for_the_job_that_it_was_chosen_for() -> None:
    """Also where several wait for room: the first that waits does not get it."""
    jazz, harp = (Replica(2, routing_stats={ADAPTERS: [name]}) for name in ("jazz", "harp"))
    router = router_of([jazz, harp])
    waiting = [asyncio.create_task(send(router, name)) for name in ("harp", "jazz")]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in waiting)
    for replica in (jazz, harp):
        replica.held = 1
        router.on_new_queue_len_info(replica.replica_id, 1)
    assert await asyncio.gather(*waiting) == [harp, jazz]


async def test_the_job_that_waits_longest_is_the_next() -> None:
    """What would break for whom: a job that comes just when another one ends finds the free place
    at once; one that pauses between two tries would wait until no more jobs come."""
    replica = Replica(2)
    router = router_of([replica])
    order: list[str] = []

    async def wait(name: str) -> None:
        await send(router)
        order.append(name)

    waiting = [asyncio.create_task(wait("first"))]
    await asyncio.sleep(0.3)  # its pauses are at their longest
    for name in ("second", "third"):
        replica.held = 1
        router.on_new_queue_len_info(replica.replica_id, 1)
        waiting.append(asyncio.create_task(wait(name)))
        await asyncio.sleep(0)
        while len(order) < len(waiting) - 1:
            await asyncio.sleep(0.01)
    assert order == ["first", "second"]
    replica.held = 1
    router.on_new_queue_len_info(replica.replica_id, 1)
    await asyncio.gather(*waiting)


async def test_jobs_with_adapters_do_not_wait_for_ever_for_a_replica_that_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routing, "ADAPTER_PATIENCE", 0.0)
    having, other = (Replica(2, routing_stats={ADAPTERS: names}) for names in (["jazz"], []))
    router = router_of([having, other])
    waiting = asyncio.create_task(send(router, "jazz"))
    await asyncio.sleep(0.05)
    other.held = 1
    router.on_new_queue_len_info(other.replica_id, 1)
    newer = asyncio.create_task(send(router))
    assert await waiting is other
    having.held = 1
    router.on_new_queue_len_info(having.replica_id, 1)
    assert await newer is having
