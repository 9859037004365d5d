"""Clusters of an earlier release on the same Redis: the webhooks of jobs that they change."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
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
    Release,
    SavePlan,
    Start,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.records import ChangeKind, JobChange
from acestep_ray.jobs.store.redis import RedisStore
from acestep_ray.jobs.store.redis import store as redis_store
from acestep_ray.jobs.store.redis.script import Script, script
from tests.redis_server import RedisServer, empty_redis
from tests.unit.jobs.store.contract import ask

COLUMN = ', "webhook_kinds"'
PLANS = ', "plans"'


@contextmanager
def earlier_release(column: str = COLUMN) -> Iterator[None]:
    """The store's script as of a release that does not read a column; without that of webhooks it
    makes no messages, without that of plans it counts one per job."""
    text = script("").text
    assert text.count(column) == 1
    earlier = Script(text.replace(column, ""))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_WRITE", "_GROW"):
            patch.setattr(redis_store, name, earlier)
        yield


@pytest.fixture
def server() -> RedisServer:
    return empty_redis()


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    """With three jobs whose ends are to be delivered."""
    store = RedisStore(server.url)
    ends = [Submit(n, "{}", False, "me", webhook="{}", webhook_kinds=("ended",)) for n in "abc"]
    store.apply([*ends, KeepAlive("r", 1e6)], 1.0)
    yield store
    store.close()


def test_the_end_of_a_job_that_an_earlier_release_ended_is_delivered(store: RedisStore) -> None:
    batch: list[Op] = [Lease("r", "1", 0, 2), Start("a", 1), Finish("a", 1, result="{}")]
    with earlier_release():
        store.apply([*batch, Release("b", 1, lost=True, max_starts=1)], 2.0)
    assert ask(store, LeaseDeliveries(9, 60.0, "1"), 3.0) == []
    for _ in range(2):
        store.apply([Sweep()], 3.0)
    assert [one.change for one in ask(store, LeaseDeliveries(9, 60.0, "2"), 3.0)] == [
        JobChange(
            "a",
            ChangeKind.ENDED,
            Status.SUCCEEDED,
            at=2.0,
            owner="me",
            webhook="{}",
            attempt=1,
            created_at=1.0,
            started_at=2.0,
            finished_at=2.0,
        ),
        JobChange(
            "b",
            ChangeKind.ENDED,
            Status.FAILED,
            at=2.0,
            owner="me",
            webhook="{}",
            attempt=1,
            created_at=1.0,
            finished_at=2.0,
            error_code=ErrorCode.WORKER_LOST,
            lost=True,
        ),
    ]


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_it_is_delivered_though_the_job_is_removed_before_the_next_sweep(
    store: RedisStore, how: str
) -> None:
    with earlier_release():
        store.apply([Cancel("a")], 2.0)
    store.apply([Delete("a") if how == "deleted" else Purge(5, 1e6, 1e6)], 10.0)
    for _ in range(2):
        store.apply([Sweep()], 10.0)
    (message,) = ask(store, ListDeliveries("a"), 10.0)
    assert (message.delivery_id, message.change.at) == ("a-ended-0", 2.0)


def test_of_a_job_that_an_earlier_release_deleted_nothing_is_left(
    store: RedisStore, server: RedisServer
) -> None:
    with earlier_release():
        store.apply([Delete("a")], 2.0)
    store.apply([Sweep(), Cancel("b")], 3.0)
    assert server.do("ZRANGE", "{acestep}:webhooks", 0, -1) == [b"c"]
    messages = ask(store, LeaseDeliveries(9, 60.0, "1"), 4.0)
    assert [one.delivery_id for one in messages] == ["b-ended-0"]


@pytest.mark.parametrize("end", ["ended", "planned", "given back"])
def test_an_earlier_release_that_takes_a_job_with_many_plans_leaves_no_slot_in_use(
    server: RedisServer, end: str
) -> None:
    """It counts one slot, and does not know of the others: they must not stay in use for ever."""
    store = RedisStore(server.url)
    jobs = [Submit(name, "{}", True, planner="p", plans=4) for name in "ab"]
    store.apply([*jobs, KeepAlive("r", 1e6)], 1.0)
    (taken,) = ask(store, Lease("r", "1", 4, 4, cluster="c"), 1.0)
    act: dict[str, Op] = {
        "ended": Finish(taken.job_id, 1, error="x"),
        "planned": SavePlan(taken.job_id, 1, "plan"),
        "given back": Release(taken.job_id, 1, lost=False),
    }
    with earlier_release(PLANS):
        store.apply([act[end]], 2.0)
    (next_one,) = ask(store, Lease("r", "2", 4, 4, cluster="c"), 3.0)
    assert next_one.job_id == ("a" if end == "given back" else "b")
    # And one that it has leased is counted once more, not four times.
    store.apply([Release(next_one.job_id, next_one.attempt, lost=False)], 4.0)
    with earlier_release(PLANS):
        (old,) = ask(store, Lease("r", "3", 1, 4, cluster="c"), 5.0)
    store.apply([Cancel(old.job_id)], 6.0)
    assert server.do("HGETALL", "{acestep}:slots:c") == (
        {b"decode": b"1"} if end == "planned" else {}
    )
    store.close()


def test_a_job_of_an_earlier_release_has_no_webhook(server: RedisServer) -> None:
    store = RedisStore(server.url)
    old = Submit("a", "{}", False)
    for name in ("task", "webhook", "webhook_kinds"):
        del old.__dict__[name]
    store.apply([old, Cancel("a")], 1.0)
    server.do("HDEL", "{acestep}:job:a", "task", "webhook", "webhook_kinds")
    store.apply([Delete("a")], 1.0)
    changes = store.take_changes()
    assert {(one.task, one.webhook) for one in changes} == {("", "")}
    assert ask(store, ListDeliveries("a"), 1.0) == []
    store.close()
