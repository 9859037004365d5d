"""Several stores on one Redis: one queue, and longer leases for runners that others know."""

from concurrent.futures import ThreadPoolExecutor

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.answers import stored
from acestep_ray.jobs.store.operations import (
    Cancel,
    Delete,
    ExtendLeases,
    Finish,
    IsOwner,
    KeepAlive,
    Lease,
    ListJobs,
    Op,
    Start,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.redis import RedisStore
from tests.redis_server import empty_redis
from tests.unit.jobs.store.contract import ask
from tests.unit.jobs.store.redis_jobs import submit


def test_many_threads_each_with_a_store_share_one_queue() -> None:
    """Each job is leased once and ends once; a key names one job; places are given once."""
    url = empty_redis().url
    clusters, jobs = 4, 40
    ended: list[str] = []

    def client(number: int) -> list[str]:
        store = RedisStore(url)
        accepted = []
        for job in range(jobs):
            op = Submit(f"{number}-{job}", "{}", False, idempotency_key=f"{job}", max_queued=10**6)
            answer = ask(store, op, 1.0)
            accepted.append(answer.job_id)
        store.close()
        return accepted

    def runner(number: int) -> None:
        store = RedisStore(url)
        name = f"runner {number}"
        store.apply([KeepAlive(name, 1e6)], 1.0)
        request = 0
        while len(ended) < jobs:
            request += 1
            lease = Lease(name, f"{request}", 0, 3, cluster=f"cluster {number % 2}")
            leased = ask(store, lease, 1.0)
            for job in leased:
                reported: list[Op] = [
                    Start(job.job_id, job.attempt),
                    Finish(job.job_id, job.attempt, "{}"),
                ]
                assert store.apply(reported, 2.0) == [True, True]
                ended.append(job.job_id)
        store.close()

    with ThreadPoolExecutor(2 * clusters) as pool:
        runners = [pool.submit(runner, number) for number in range(clusters)]
        answers = list(pool.map(client, range(clusters)))
        for each in runners:
            each.result()
    assert all(answer == answers[0] for answer in answers)
    assert sorted(ended) == sorted(answers[0])
    store = RedisStore(url)
    found = ask(store, ListJobs(limit=1000), 3.0)
    assert {(job.status, job.attempt, job.starts) for job in found} == {(Status.SUCCEEDED, 1, 1)}
    assert sorted(job.place for job in found) == list(range(1, jobs + 1))
    store.close()


def test_a_coordinator_that_was_away_extends_no_lease_if_others_received_the_runners() -> None:
    url = empty_redis().url
    here, there = RedisStore(url), RedisStore(url)
    here.apply([KeepAlive("r", 3), *submit("a"), Lease("r", "1", 0, 1), Sweep()], 10.0)
    there.apply([Sweep()], 12.0)
    # The lease expired at 13. The store that notices it first swept at 10, the other at 12.
    assert here.apply([ExtendLeases(3, since=12.0)], 14.0) == [None]
    there.apply([ExtendLeases(3, since=11.0)], 14.0)  # from now on it lives until 17
    assert there.apply([Sweep()], 15.0) == [[]]
    assert here.apply([ExtendLeases(3, since=13.0), Sweep()], 18.0) == [None, ["a"]]
    here.close()
    there.close()


def test_a_lapsed_runner_that_nobody_swept_goes_on() -> None:
    url = empty_redis().url
    here, there = RedisStore(url), RedisStore(url)
    here.apply([KeepAlive("r", 3), *submit("a"), Lease("r", "1", 0, 1), Start("a", 1)], 1.0)
    here.apply([KeepAlive("r", 3)], 9.0)
    assert there.apply([Sweep(), IsOwner("a", 1)], 10.0) == [[], True]
    # And one that was swept does not continue.
    assert there.apply([Sweep(), IsOwner("a", 1)], 13.0) == [["a"], False]
    assert here.apply([KeepAlive("r", 3), Finish("a", 1, result="{}")], 13.0) == [None, False]
    here.close()
    there.close()


def test_what_a_release_without_lists_by_error_left_is_put_right() -> None:
    """It does not add the jobs that it ends to those lists, nor delete those that it removes."""
    server = empty_redis()
    store = RedisStore(server.url)
    store.apply([*submit("a", "b", "c"), *(Cancel(job_id) for job_id in "abc")], 1.0)
    listed = ListJobs(error_codes=(ErrorCode.CANCELLED,))
    server.do("ZREM", "{acestep}:error:cancelled", "a")
    server.do("ZADD", "{acestep}:error:timeout", "9", "gone")
    server.do("ZADD", "{acestep}:error:cancelled", "9", "gone, too")
    two = ListJobs(error_codes=(ErrorCode.CANCELLED,), limit=2)
    assert [job.job_id for job in ask(store, two, 2.0)] == ["c", "b"]
    store.apply([Sweep()], 3.0)
    assert [job.job_id for job in ask(store, listed, 4.0)] == ["c", "b", "a"]
    assert server.do("EXISTS", "{acestep}:error:timeout") == 0
    server.do("DEL", "{acestep}:error:cancelled", "{acestep}:owner::error:cancelled")
    store.apply([Sweep()], 5.0)
    by_owner = ListJobs(owner="", error_codes=(ErrorCode.CANCELLED,))
    for op in (listed, by_owner):
        assert len(ask(store, op, 6.0)) == 3
    # A client of such a release asks without the new fields.
    old = ListJobs(Status.FAILED)
    for name in ("error_codes", "brief"):
        del old.__dict__[name]
    assert len(ask(store, old, 7.0)) == 3
    store.close()


def test_an_error_code_of_a_later_release_is_read_and_indexed_once() -> None:
    server = empty_redis()
    store = RedisStore(server.url)
    store.apply([*submit("a", "b"), *(Cancel(job_id) for job_id in "ab")], 1.0)
    server.do("HSET", "{acestep}:job:a", "error_code", "brand_new")
    server.do("ZREM", "{acestep}:error:cancelled", "a")
    for now in (2.0, 3.0):
        failed = ListJobs(status=Status.FAILED)
        jobs = stored(failed, store.apply([Sweep(), failed], now)[1])
        assert [job.error_code for job in jobs] == [ErrorCode.CANCELLED, ErrorCode.INTERNAL]
    # Once correct, the lists stay as they are: a sweep that rebuilt them would undo this.
    server.do("ZADD", "{acestep}:error:(other)", "77", "a")
    store.apply([Sweep()], 4.0)
    assert server.do("ZSCORE", "{acestep}:error:(other)", "a") == 77
    store.apply([Delete("a")], 5.0)
    assert server.do("EXISTS", "{acestep}:error:(other)") == 0
    store.close()
