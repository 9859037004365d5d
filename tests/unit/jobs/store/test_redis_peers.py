"""What stores on one Redis send each other: changes, each once and in order, and peer states."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Finish, KeepAlive, Lease, Start, Submit
from acestep_ray.jobs.store.redis import RedisStore, peers, script, store
from acestep_ray.jobs.store.redis.peers import RedisPeers
from tests.redis_server import RedisServer
from tests.service import until

IN_TIME = 30.0
"""Seconds; the awaited events come much earlier."""


def submit(to: RedisStore, *job_ids: str) -> None:
    to.apply([Submit(job_id, "{}", False, max_queued=10**6) for job_id in job_ids], 1.0)


@pytest.fixture
def here(server: RedisServer) -> Iterator[RedisStore]:
    here = RedisStore(server.url, timeout=1)
    yield here
    here.close()


@pytest.fixture
def there(server: RedisServer) -> Iterator[RedisStore]:
    there = RedisStore(server.url)
    yield there
    there.close()


@pytest.fixture
def listener(here: RedisStore) -> Iterator[RedisPeers]:
    """What ``here`` receives, from now on."""
    listener = here.peers()
    first = listener.exchange("", 0)
    assert (first.missed, first.changes) == (True, [])
    yield listener
    listener.close()


def test_changes_of_others_are_received_in_order_and_own_ones_are_not(
    here: RedisStore, there: RedisStore, listener: RedisPeers
) -> None:
    there.apply([KeepAlive("r", 100)], 1.0)  # changes no job
    submit(there, "a", "b")
    submit(here, "c")
    there.apply([Lease("r", "1", 0, 1), Start("a", 1)], 1.0)
    there.apply([Finish("a", 1, result="{}"), Cancel("b")], 2.0)
    received = listener.exchange("", 0)
    assert received.changes == [
        ("a", Status.QUEUED),
        ("b", Status.QUEUED),
        ("a", Status.RUNNING),
        ("a", Status.SUCCEEDED),
        ("b", Status.FAILED),
    ]
    assert not received.missed
    assert listener.exchange("", 0).changes == []
    assert here.take_changes() == [("c", Status.QUEUED)]


def test_a_change_ends_the_wait(
    there: RedisStore, listener: RedisPeers, server: RedisServer
) -> None:
    with ThreadPoolExecutor(1) as pool:
        # Longer than a connection waits for a reply, so it cannot be received just by waiting.
        received = pool.submit(listener.exchange, "", 0.9)
        until(lambda: server.do("INFO", "clients")["blocked_clients"] == 1, "nobody waits")
        submit(there, "a")
        assert received.result(IN_TIME).changes == [("a", Status.QUEUED)]


def test_whoever_reads_too_late_has_missed_changes(
    there: RedisStore, listener: RedisPeers, server: RedisServer
) -> None:
    for number in range(5):
        submit(there, f"{number}")
    server.do("XTRIM", "{acestep}:changes", "MAXLEN", 2)
    received = listener.exchange("", 0)
    assert received.missed
    assert received.changes == [("3", Status.QUEUED), ("4", Status.QUEUED)]
    submit(there, "5")
    received = listener.exchange("", 0)
    assert (received.missed, received.changes) == (False, [("5", Status.QUEUED)])


def test_the_stream_does_not_grow_for_ever(
    there: RedisStore, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "KEEP_CHANGES", 100)
    monkeypatch.setattr(store, "_GROW", script.script(""))
    for number in range(500):
        submit(there, f"{number}")
    assert 100 <= server.do("XLEN", "{acestep}:changes") <= 200


def test_after_a_restart_everything_is_looked_at(
    there: RedisStore, listener: RedisPeers, server: RedisServer
) -> None:
    submit(there, "a")
    server.kill()
    with pytest.raises(StoreUnavailable):
        listener.exchange("", 0)
    server.start()
    assert listener.exchange("", 0).missed
    submit(there, "b")
    assert listener.exchange("", 0).changes == [("b", Status.QUEUED)]


def test_a_batch_without_an_answer_is_published_though_nobody_knows_what_it_did(
    here: RedisStore, listener: RedisPeers, server: RedisServer
) -> None:
    """Otherwise a caller that waits for the job here would not be woken."""
    submit(here, "before")
    here.take_changes()
    listener.exchange("", 0)
    server.pause()
    with pytest.raises(StoreUnavailable):
        submit(here, "a")
    server.resume()
    until(lambda: server.do("EXISTS", "{acestep}:job:a") == 1, "it is not carried out")
    submit(here, "a")  # repeated, and nothing changes
    assert here.take_changes() == []
    assert listener.exchange("", 0).missed


def test_an_emptied_redis_is_listened_to_anew(
    here: RedisStore, there: RedisStore, listener: RedisPeers, server: RedisServer
) -> None:
    submit(there, "a", "b")
    listener.exchange("", 0)
    server.do("FLUSHALL")
    submit(here, "c")
    assert listener.exchange("", 0).missed
    submit(there, "d")
    assert listener.exchange("", 0).changes == [("d", Status.QUEUED)]


def test_states_are_seen_by_the_others_while_they_are_renewed(
    here: RedisStore, there: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "STATE_SECONDS", 0.3)
    monkeypatch.setattr(peers, "READ_STATES_EVERY", 0.0)
    mine, theirs = here.peers(), there.peers()
    assert mine.exchange("mine", 0).states == ()
    assert theirs.exchange("theirs", 0).states == ("mine",)
    assert mine.exchange("mine", 0).states == ("theirs",)
    theirs.exchange("theirs, too", 0)
    assert mine.exchange("mine", 0).states == ("theirs, too",)

    def gone() -> bool:
        assert theirs.exchange("theirs, too", 0).states in (("mine",), ())
        return theirs.exchange("theirs, too", 0).states == ()

    until(gone, "a state that is not renewed stays for ever")
    assert mine.exchange("mine", 0).states == ("theirs, too",)  # it was renewed all the time
    mine.close()
    theirs.close()
