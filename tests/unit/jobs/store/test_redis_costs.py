"""What is kept in Redis, and what an operation costs."""

from typing import Any

import pytest
import redis

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.operations import (
    AckGarbage,
    Cancel,
    Delete,
    Deregister,
    Finish,
    Get,
    KeepAlive,
    Lease,
    LeaseDeliveries,
    ListGarbage,
    ListJobs,
    Op,
    Purge,
    Release,
    SaveDelivery,
    SavePlan,
    Start,
    Stats,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.records import DeliveryState
from acestep_ray.jobs.store.redis import RedisStore
from tests.redis_server import RedisServer, empty_redis
from tests.unit.jobs.store.contract import ask


def test_all_keys_lie_on_one_node_of_a_cluster() -> None:
    server = empty_redis()
    everything_happens(RedisStore(server.url))
    keys = server.do("KEYS", "*")
    assert len(keys) > 50
    assert {redis.crc.key_slot(key) for key in keys} == {redis.crc.key_slot(b"acestep")}


def test_nothing_is_left_of_what_is_forgotten() -> None:
    server = empty_redis()
    store = RedisStore(server.url)
    everything_happens(store)
    now = 10.0**6
    jobs = ask(store, ListJobs(limit=100), now)
    assert len(jobs) > 5
    store.apply([Delete(job.job_id) for job in jobs], now)
    garbage = ask(store, ListGarbage(), now)
    store.apply([AckGarbage(tuple(garbage)), Purge(1, 1, 1), Sweep()], now + 10**6)
    left = {key.decode().removeprefix("{acestep}:") for key in server.do("KEYS", "*")}
    requests = {f"deliveries:request:{number}" for number in (1, 2, 3)}
    assert left == {"meta", "changes", "sweeps"} | requests
    for request in requests:
        assert 0 < server.do("TTL", f"{{acestep}}:{request}") <= 9
    assert server.do("HLEN", "{acestep}:sweeps") == 1
    assert server.do("XLEN", "{acestep}:changes") > 0


def everything_happens(store: RedisStore) -> None:
    """Jobs of two owners, two planners and none, in every state, with keys and without."""
    store.apply([KeepAlive("r", 100), KeepAlive("s", 1)], 1.0)
    for number in range(12):
        store.apply(
            [
                Submit(
                    f"{number}",
                    "{}",
                    needs_plan=number % 3 > 0,
                    owner="xy"[number % 2],
                    idempotency_key=f"{number}" if number % 4 else None,
                    planner=f"p{number % 3}",
                    task="cover",
                    webhook="{}",
                    webhook_kinds=("submitted", "running", "ended") if number % 2 else (),
                    plans=1 + number % 3,
                )
            ],
            1.0,
        )
    (mine,) = store.apply([Lease("r", "1", 4, 2, cluster="east")], 1.0)
    store.apply([Lease("s", "1", 2, 2, cluster="west")], 1.0)
    assert isinstance(mine, list)
    for step, job in enumerate(mine):
        attempt = (job.job_id, job.attempt)
        store.apply([Start(*attempt), SavePlan(*attempt, "plan", seconds=1.0, work=2.0)], 2.0)
        if step == 1:
            store.apply([Finish(*attempt, result="{}", device_seconds=1.0)], 3.0)
        elif step == 2:
            store.apply([Finish(*attempt, error="no")], 3.0)
        elif step == 3:
            store.apply([Release(*attempt, lost=True)], 3.0)
    store.apply([Cancel("11"), Delete("10"), Sweep()], 5.0)
    store.apply([KeepAlive("t", 100), Lease("t", "1", 1, 1), Deregister("t")], 5.0)
    store.apply([Lease("r", "2", 9, 9)], 6.0)
    ids = [one.delivery_id for one in ask(store, LeaseDeliveries(4, 9.0, "1"), 6.0)]
    for delivery_id, state in zip(ids, (*DeliveryState,), strict=False):
        store.apply([SaveDelivery(delivery_id, state, 1, 7.0)], 6.0)
    store.apply([LeaseDeliveries(4, 9.0, "2"), LeaseDeliveries(4, 9.0, "3")], 7.0)


def commands(server: RedisServer, store: RedisStore, *batch: Op) -> int:
    """How many commands Redis runs for a batch."""
    server.do("CONFIG RESETSTAT")
    store.apply(batch, 1.0)
    stats: dict[str, Any] = server.do("INFO", "commandstats")
    own = {"cmdstat_config|resetstat", "cmdstat_info", "cmdstat_client|setinfo", "cmdstat_select"}
    return sum(int(stat["calls"]) for name, stat in stats.items() if name not in own)


@pytest.mark.parametrize("kinds", ["plan", "no plan", "both"])
def test_a_thousand_queued_jobs_cost_no_more_than_a_hundred(kinds: str) -> None:
    """And as many ended ones. No command reads more than it returns or removes."""
    costs: dict[int, dict[str, int]] = {}
    for queued in (100, 1_000):
        server = empty_redis()
        store = RedisStore(server.url)
        for first in range(0, queued, 500):
            numbers = range(first, min(queued, first + 500))
            ended = [Submit(f"e{n}", "{}", False, "o", max_queued=10**6) for n in numbers]
            store.apply([*ended, KeepAlive("r", 1e6), Lease("r", f"e{first}", 0, queued)], 1.0)
            store.apply([Finish(job.job_id, 1, result="{}") for job in ended], 1.0)
        plans = {"plan": (True,), "no plan": (False,), "both": (True, False)}[kinds]
        for first in range(0, queued, 500):
            numbers = range(first, min(queued, first + 500))
            store.apply(
                [
                    Submit(f"j{n}", "{}", plans[n % len(plans)], "o", max_queued=10**6)
                    for n in numbers
                ],
                1.0,
            )
        last = f"j{queued - 1}"
        operations: dict[str, Op] = {
            "submit": Submit("new", "{}", True, max_queued=10**6),
            "position": Get(last),
            "lease": Lease("r", "1", plan_slots=2, decode_slots=2),
            "nothing to lease": Lease("r", "2", plan_slots=2, decode_slots=2),
            "release": Release("j0", 1, lost=True),
            "sweep": Sweep(),
            "stats": Stats(),
            "list": ListJobs(limit=5),
            "list all of a status": ListJobs(status=Status.FAILED),
            "list an owner's": ListJobs(limit=5, owner="o"),
            "list an owner's of a status": ListJobs(Status.FAILED, owner="o"),
            "purge": Purge(1, 1, 1, limit=5),
            "cancel": Cancel(last),
            "delete": Delete(last),
        }
        costs[queued] = {name: commands(server, store, op) for name, op in operations.items()}
        store.close()
    assert costs[1_000] == costs[100]


def test_a_thousand_webhook_messages_that_are_not_due_cost_no_more_than_a_hundred() -> None:
    """The sender asks every second, in a service without webhooks, too."""
    server = empty_redis()
    store = RedisStore(server.url)
    costs = []
    for first, number in ((0, 100), (100, 900)):
        names = [f"j{n}" for n in range(first, first + number)]
        for some in (names[n : n + 100] for n in range(0, number, 100)):
            kinds = ("submitted", "ended")
            store.apply(
                [Submit(n, "{}", False, webhook_kinds=kinds, max_queued=10**6) for n in some], 1.0
            )
            taken = ask(store, LeaseDeliveries(10**6, 10**6, f"with {some[0]}"), 1.0)
            assert len(taken) == len(some)
        outcome = SaveDelivery(f"j{first}-submitted-0", DeliveryState.PENDING, 1, 10.0**6)
        operations = (LeaseDeliveries(10, 60.0, f"{first}"), outcome, Sweep())
        costs.append([commands(server, store, op) for op in operations])
    assert costs[0] == costs[1]
    assert costs[0][0] <= 4  # the script, the version, the request, the first that is due
    store.close()


@pytest.mark.parametrize("owner", [None, "o"])
def test_a_thousand_failed_jobs_are_listed_like_a_hundred(owner: str | None) -> None:
    costs = []
    for failed in (100, 1_000):
        server = empty_redis()
        store = RedisStore(server.url)
        for first in range(0, failed, 100):  # a larger batch takes too long on a busy machine
            names = [f"j{n}" for n in range(first, first + 100)]
            store.apply([Submit(n, "{}", False, "o", max_queued=10**6) for n in names], 1.0)
            if not first:
                store.apply([KeepAlive("r", 1e6), Lease("r", "0", 0, 10)], 1.0)
                store.apply([Finish(f"j{n}", 1, error="x") for n in range(10)], 1.0)
            store.apply([Cancel(n) for n in names if int(n[1:]) >= 10], 1.0)
        rare = ListJobs(Status.FAILED, 20, owner=owner, error_codes=(ErrorCode.INTERNAL,))
        some = ListJobs(limit=20, owner=owner, error_codes=(*ErrorCode,), brief=True)
        assert [len(ask(store, op, 1.0)) for op in (rare, some)] == [10, 20]
        costs.append([commands(server, store, op) for op in (rare, some, Sweep())])
        store.close()
    assert costs[0] == costs[1]
