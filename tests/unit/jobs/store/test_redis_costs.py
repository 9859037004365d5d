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
    ListGarbage,
    ListJobs,
    Op,
    Purge,
    Release,
    SavePlan,
    Start,
    Stats,
    Submit,
    Sweep,
)
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
    assert left == {"meta", "changes", "sweeps"}
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
