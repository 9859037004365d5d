"""A Redis that fails: what is reported, what is repeated, and that its return solves it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from acestep_ray.jobs.store.errors import StoreFull, StoreUnavailable
from acestep_ray.jobs.store.operations import (
    Cancel,
    Delete,
    Finish,
    KeepAlive,
    Lease,
    LeaseDeliveries,
    ListDeliveries,
    Op,
    Purge,
    SaveDelivery,
    Start,
    Stats,
    Sweep,
)
from acestep_ray.jobs.store.records import DeliveryState
from acestep_ray.jobs.store.redis import RedisStore
from tests.redis_server import RedisServer
from tests.service import until
from tests.unit.jobs.store.contract import ask
from tests.unit.jobs.store.redis_jobs import ids, submit


def test_a_restart_is_not_noticed(server: RedisServer, store: RedisStore) -> None:
    """The connection is broken, and Redis no longer knows the script."""
    store.apply(submit("a"), 1.0)
    server.kill()
    server.start()
    store.apply(submit("b"), 1.0)
    assert ids(store) == ["a", "b"]


def test_a_redis_that_is_gone_is_reported_and_healed_by_its_return(
    server: RedisServer, store: RedisStore
) -> None:
    store.apply(submit("a"), 1.0)
    server.kill()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"cannot be reached \(.*refused\)\.$"):
            store.apply(submit("b"), 1.0)
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        RedisStore(server.url)
    server.start()
    store.apply(submit("b"), 1.0)
    assert ids(store) == ["a", "b"]


def test_a_batch_without_an_answer_may_be_repeated(server: RedisServer, store: RedisStore) -> None:
    """As behind a broken network: what was sent is executed when it arrives."""
    store.apply([KeepAlive("r", 1e6), *submit("a", "b")], 1.0)
    lease = Lease("r", "request", plan_slots=0, decode_slots=1)
    impatient = RedisStore(server.url, timeout=1)
    server.pause()
    batches: list[list[Op]] = [submit("c"), [lease], [Cancel("b")]]
    for batch in batches:
        with pytest.raises(StoreUnavailable, match=r"does not answer\.$"):
            impatient.apply(batch, 1.0)
    server.resume()
    impatient.close()
    for batch in batches:
        (answer,) = store.apply(batch, 1.0)
        assert not isinstance(answer, Exception)
    assert ids(store) == ["a", "b", "c"]
    leased = ask(store, lease, 1.0)
    assert [(job.job_id, job.attempt) for job in leased] == [("a", 1)]
    messages = ask(store, LeaseDeliveries(9, 60.0, "1"), 1.0)
    assert [one.delivery_id for one in messages] == [
        "a-submitted-0",
        "b-submitted-0",
        "c-submitted-0",
        "b-ended-0",
    ]


def test_a_redis_that_loads_its_data_is_reported(server: RedisServer, store: RedisStore) -> None:
    for first in range(0, 1000, 100):
        store.apply(submit(*(f"{first + n}" for n in range(100)), spec="x"), 1.0)
    server.do("CONFIG SET", "appendonly", "no")  # on again, it rewrites its file as a snapshot
    server.do("CONFIG SET", "appendonly", "yes")
    until(lambda: server.do("INFO", "persistence")["aof_rewrite_in_progress"] == 0, "no snapshot")
    server.kill()
    # It replies after so many bytes, and takes so many microseconds per key.
    server.options |= {"loading-process-events-interval-bytes": "1024", "key-load-delay": "1000"}
    server.begin()

    def loads() -> bool:
        with pytest.raises(StoreUnavailable) as refused:
            store.apply(submit("late"), 1.0)
        return "is loading its data." in str(refused.value)

    until(loads, "it is never seen to load")
    until(server.answers, "it does not end")
    store.apply(submit("late"), 1.0)
    assert len(ids(store)) == 1001


def test_a_replica_is_refused_what_it_cannot_do(
    server: RedisServer, store: RedisStore, tmp_path: Path
) -> None:
    store.apply(submit("a"), 1.0)
    primary = RedisServer(tmp_path / "primary")
    primary.start()
    server.do("REPLICAOF", "127.0.0.1", primary.port)
    with pytest.raises(StoreUnavailable, match="read-only replica; name its primary in ACESTEP_ST"):
        store.apply(submit("b"), 1.0)
    primary.kill()


def test_a_full_redis_takes_no_new_jobs_and_goes_on_with_those_it_has(
    server: RedisServer, store: RedisStore
) -> None:
    store.apply([KeepAlive("r", 1e6), *submit("a", "b", "c")], 1.0)
    store.apply([Lease("r", "1", plan_slots=0, decode_slots=2)], 1.0)
    server.do("CONFIG SET", "maxmemory", "1mb")
    with pytest.raises(StoreFull, match="it takes no new jobs until"):
        store.apply([Start("a", 1), *submit("d")], 2.0)
    rest: list[Op] = [
        KeepAlive("r", 1e6),
        Start("a", 1),
        Finish("a", 1, result="{}"),
        Cancel("b"),
        Delete("c"),
        Sweep(),
        Purge(1e6, 1e6, 1e6),
        LeaseDeliveries(9, 60.0, "1"),
        SaveDelivery("a-ended-1", DeliveryState.DELIVERED, 1),
    ]
    assert not any(isinstance(answer, Exception) for answer in store.apply(rest, 2.0))
    assert ids(store) == ["a", "b"]
    (_, ended) = ask(store, ListDeliveries("a"), 2.0)
    assert (ended.kind, ended.state) == ("ended", DeliveryState.DELIVERED)
    server.do("CONFIG SET", "maxmemory", "0")
    store.apply(submit("d"), 2.0)


def test_a_redis_that_runs_a_foreign_script_is_waited_for(
    server: RedisServer, store: RedisStore
) -> None:
    server.do("CONFIG SET", "busy-reply-threshold", "1")
    with ThreadPoolExecutor(1) as pool:
        foreign = pool.submit(server.do, "EVAL", "while true do end", "0")

        def busy() -> bool:
            try:
                store.apply([KeepAlive("r", 9)], 1.0)
            except StoreUnavailable as error:
                return "cannot be used now (BUSY" in str(error)
            return False

        until(busy, "it is never seen busy")
        server.do("SCRIPT KILL")
        with pytest.raises(redis.ResponseError):
            foreign.result()
    store.apply(submit("a"), 1.0)
    assert ids(store) == ["a"]


def test_a_text_that_no_database_can_hold_is_the_batch_s_own_fault(store: RedisStore) -> None:
    with pytest.raises(UnicodeEncodeError):
        store.apply(submit("a", spec="\ud800 is half a character"), 1.0)
    assert ids(store) == []


def test_a_closed_store_is_unavailable(store: RedisStore) -> None:
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.apply([Stats()], 1.0)
