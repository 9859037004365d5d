"""What is Redis's own: what it may lose, how it fails, what is kept in it, and what things cost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.protocol import (
    Cancel,
    Collected,
    Delete,
    Finish,
    Garbage,
    Get,
    Goodbye,
    Grace,
    KeepAlive,
    Lease,
    ListJobs,
    Op,
    Owns,
    Purge,
    Release,
    SavePlan,
    SchemaTooNew,
    Start,
    Stats,
    StoreFull,
    StoreUnavailable,
    StoreUnsuitable,
    Submit,
    Submitted,
    Sweep,
)
from acestep_ray.jobs.store.redis import RedisStore, script
from tests.redis_server import RedisServer, empty_redis
from tests.service import until

PASSWORD = "open sesame: #1?"


def submit(*job_ids: str, spec: str = "x" * 2000) -> list[Op]:
    return [Submit(job_id, spec, needs_plan=False, max_queued=10**6) for job_id in job_ids]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """One that the test may harm."""
    server = RedisServer(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    store = RedisStore(server.url)
    yield store
    store.close()


def ids(store: RedisStore) -> list[str]:
    """Oldest first."""
    (jobs,) = store.apply([ListJobs(limit=10**6)], 1.0)
    assert isinstance(jobs, list)
    return [job.job_id for job in reversed(jobs)]


# What it may lose


def test_a_redis_that_keeps_nothing_is_refused_unless_that_is_allowed(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, appendonly="no")
    server.start()
    with pytest.raises(StoreUnsuitable, match=r"no append-only file, .* set appendonly yes"):
        RedisStore(server.url)
    store = RedisStore(server.url + "?volatile=allow")
    store.apply(submit("a"), 1.0)
    store.close()
    server.kill()


def test_a_redis_that_evicts_is_refused(server: RedisServer) -> None:
    server.do("CONFIG SET", "maxmemory", "100mb")
    server.do("CONFIG SET", "maxmemory-policy", "allkeys-lru")
    with pytest.raises(StoreUnsuitable, match="set maxmemory-policy noeviction"):
        RedisStore(server.url)
    server.do("CONFIG SET", "maxmemory-policy", "volatile-lru")  # of boards, which expire anyway
    RedisStore(server.url).close()


@pytest.mark.parametrize(
    ("command", "warned"),
    [
        ("CONFIG SET appendfsync always", ""),
        ("CONFIG SET appendfsync no", "has appendfsync no: "),
        # As a managed Redis does.
        ("ACL SETUSER default -config", "has appendfsync unknown: "),
    ],
)
def test_what_a_power_cut_may_lose_is_said(
    server: RedisServer, caplog: pytest.LogCaptureFixture, command: str, warned: str
) -> None:
    server.do(*command.split())
    if "unknown" in warned and any(server.do("COMMAND INFO", "WAITAOF")):
        RedisStore(server.url).close()  # it waits for the disk, whatever the policy is
        assert caplog.text == ""
        server.do("ACL SETUSER", "default", "-waitaof")
    RedisStore(server.url).close()
    assert bool(caplog.text) is bool(warned)
    assert warned in caplog.text


def test_an_accepted_job_is_on_disk_though_it_is_written_once_a_second(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where Redis can be asked to wait; where it cannot, that is said."""
    server = RedisServer(tmp_path, appendfsync="everysec")
    server.start()
    store = RedisStore(server.url)
    store.apply([*submit("a"), KeepAlive("r", 9)], 1.0)
    waits = "cmdstat_waitaof" in server.do("INFO", "commandstats")
    can_wait = any(server.do("COMMAND INFO", "WAITAOF"))
    assert waits is can_wait
    assert ("has appendfsync everysec" in caplog.text) is not waits
    store.close()
    server.kill()


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_what_was_acknowledged_outlives_a_killed_server(
    server: RedisServer, store: RedisStore, acknowledged: int
) -> None:
    """Every batch that was acknowledged, perhaps the one that was on its way, and none in part."""
    done: list[int] = []

    def write() -> None:
        while True:
            number = len(done)
            store.apply(submit(*(f"{number}-{part}" for part in "abc"), spec="x" * 20_000), 1.0)
            done.append(number)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        until(lambda: len(done) >= acknowledged, "nothing is written")
        server.kill()
        with pytest.raises(StoreUnavailable):
            writer.result()
    server.start()
    found = ids(store)
    batches = len(found) // 3
    assert batches in (len(done), len(done) + 1)
    assert found == [f"{number}-{part}" for number in range(batches) for part in "abc"]


# A Redis that fails


def test_a_restart_is_not_noticed(server: RedisServer, store: RedisStore) -> None:
    """The connection is broken, and the script is no longer known there."""
    store.apply(submit("a"), 1.0)
    server.kill()
    server.start()
    store.apply(submit("b"), 1.0)
    assert ids(store) == ["a", "b"]


def test_a_redis_that_is_gone_is_told_and_healed_by_its_return(
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
    """As behind a broken network: what was sent is carried out when it comes through."""
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
    (leased,) = store.apply([lease], 1.0)
    assert isinstance(leased, list)
    assert [(job.job_id, job.attempt) for job in leased] == [("a", 1)]


def test_a_redis_that_loads_its_data_is_told(server: RedisServer, store: RedisStore) -> None:
    for first in range(0, 1000, 100):
        store.apply(submit(*(f"{first + n}" for n in range(100)), spec="x"), 1.0)
    server.do("CONFIG SET", "appendonly", "no")  # on again, it writes its file anew, as a snapshot
    server.do("CONFIG SET", "appendonly", "yes")
    until(lambda: server.do("INFO", "persistence")["aof_rewrite_in_progress"] == 0, "no snapshot")
    server.kill()
    # It answers after so many bytes, and takes so many microseconds a key.
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
    ]
    assert not any(isinstance(answer, Exception) for answer in store.apply(rest, 2.0))
    assert ids(store) == ["a", "b"]
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


def test_a_password_is_needed_and_never_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = RedisServer(tmp_path, requirepass=PASSWORD)
    server.start()
    quoted = server.url.replace("//", f"//:{quote(PASSWORD, safe='')}@")
    for store in (RedisStore(quoted), RedisStore(server.url, password=PASSWORD)):
        store.apply(submit("a"), 1.0)
        assert PASSWORD not in f"{store!r} {vars(store)}"
        store.close()
    for password in (None, "guessed"):
        with pytest.raises(StoreUnsuitable, match="set ACESTEP_STORE_PASSWORD"):
            RedisStore(server.url, password=password)
    server.kill()
    with pytest.raises(StoreUnavailable) as refused:
        RedisStore(quoted)
    error: BaseException | None = refused.value
    while error is not None:
        assert PASSWORD not in str(error)
        assert quote(PASSWORD, safe="") not in str(error)
        error = error.__cause__ or error.__context__
    assert PASSWORD not in caplog.text


def test_a_socket_will_do(tmp_path: Path) -> None:
    socket = tmp_path / "redis.sock"
    server = RedisServer(tmp_path, unixsocket=str(socket))
    server.start()
    store = RedisStore(f"unix://{socket}?volatile=allow&db=3")
    store.apply(submit("a"), 1.0)
    assert server.do("INFO", "keyspace").keys() == {"db3"}
    server.kill()
    with pytest.raises(StoreUnavailable, match=rf"Redis at {socket}\) cannot be reached"):
        store.apply(submit("b"), 1.0)
    store.close()


def test_a_text_that_no_database_can_hold_is_the_batch_s_own_fault(store: RedisStore) -> None:
    with pytest.raises(UnicodeEncodeError):
        store.apply(submit("a", spec="\ud800 is half a character"), 1.0)
    assert ids(store) == []


def test_a_closed_store_is_unavailable(store: RedisStore) -> None:
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.apply([Stats()], 1.0)


# Versions


def test_a_newer_database_is_refused_and_left_alone(server: RedisServer, store: RedisStore) -> None:
    store.apply(submit("a"), 1.0)
    server.do("HSET", "{acestep}:meta", "version", "999")
    with pytest.raises(SchemaTooNew, match="has schema version 999, but this release knows"):
        RedisStore(server.url)
    # Also where it became so while the store was open, as during an upgrade.
    with pytest.raises(SchemaTooNew):
        store.apply(submit("b"), 1.0)
    server.do("HSET", "{acestep}:meta", "version", str(script.SCHEMA_VERSION))
    assert ids(store) == ["a"]


def test_an_emptied_database_is_begun_anew(server: RedisServer, store: RedisStore) -> None:
    store.apply(submit("a"), 1.0)
    server.do("FLUSHALL")
    store.apply(submit("b"), 1.0)
    assert ids(store) == ["b"]
    RedisStore(server.url).close()


# Several at once


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
            (answer,) = store.apply([op], 1.0)
            assert isinstance(answer, Submitted)
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
            (leased,) = store.apply([lease], 1.0)
            assert isinstance(leased, list)
            for job in leased:
                told: list[Op] = [
                    Start(job.job_id, job.attempt),
                    Finish(job.job_id, job.attempt, "{}"),
                ]
                assert store.apply(told, 2.0) == [True, True]
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
    (found,) = store.apply([ListJobs(limit=1000)], 3.0)
    assert isinstance(found, list)
    assert {(job.status, job.attempt, job.starts) for job in found} == {(Status.SUCCEEDED, 1, 1)}
    assert sorted(job.place for job in found) == list(range(1, jobs + 1))
    store.close()


def test_a_desk_that_was_away_gives_no_grace_where_others_heard_the_runners() -> None:
    url = empty_redis().url
    here, there = RedisStore(url), RedisStore(url)
    here.apply([KeepAlive("r", 3), *submit("a"), Lease("r", "1", 0, 1), Sweep()], 10.0)
    there.apply([Sweep()], 12.0)
    # It lapsed at 13. Whoever looks at it first has swept at 10 himself, and the other at 12.
    assert here.apply([Grace(3, since=12.0)], 14.0) == [None]
    there.apply([Grace(3, since=11.0)], 14.0)  # from now on it lives until 17
    assert there.apply([Sweep()], 15.0) == [[]]
    assert here.apply([Grace(3, since=13.0), Sweep()], 18.0) == [None, ["a"]]
    here.close()
    there.close()


def test_a_lapsed_runner_that_nobody_swept_goes_on() -> None:
    url = empty_redis().url
    here, there = RedisStore(url), RedisStore(url)
    here.apply([KeepAlive("r", 3), *submit("a"), Lease("r", "1", 0, 1), Start("a", 1)], 1.0)
    here.apply([KeepAlive("r", 3)], 9.0)
    assert there.apply([Sweep(), Owns("a", 1)], 10.0) == [[], True]
    # And one that was swept does not.
    assert there.apply([Sweep(), Owns("a", 1)], 13.0) == [["a"], False]
    assert here.apply([KeepAlive("r", 3), Finish("a", 1, result="{}")], 13.0) == [None, False]
    here.close()
    there.close()


# What is kept, and what it costs


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
    (jobs,) = store.apply([ListJobs(limit=100)], now)
    assert isinstance(jobs, list)
    assert len(jobs) > 5
    store.apply([Delete(job.job_id) for job in jobs], now)
    (garbage,) = store.apply([Garbage()], now)
    assert isinstance(garbage, list)
    store.apply([Collected(tuple(garbage)), Purge(1, 1, 1), Sweep()], now + 10**6)
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
    store.apply([KeepAlive("t", 100), Lease("t", "1", 1, 1), Goodbye("t")], 5.0)
    store.apply([Lease("r", "2", 9, 9)], 6.0)


def commands(server: RedisServer, store: RedisStore, *batch: Op) -> int:
    """How many commands Redis runs for a batch."""
    server.do("CONFIG RESETSTAT")
    store.apply(batch, 1.0)
    stats: dict[str, Any] = server.do("INFO", "commandstats")
    own = {"cmdstat_config|resetstat", "cmdstat_info", "cmdstat_client|setinfo", "cmdstat_select"}
    return sum(int(stat["calls"]) for name, stat in stats.items() if name not in own)


@pytest.mark.parametrize("kinds", ["plan", "no plan", "both"])
def test_ten_thousand_queued_jobs_cost_no_more_than_a_hundred(kinds: str) -> None:
    """And as many ended ones. None of the commands looks at more than it answers or removes."""
    costs: dict[int, dict[str, int]] = {}
    for queued in (100, 10_000):
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
    assert costs[10_000] == costs[100]
