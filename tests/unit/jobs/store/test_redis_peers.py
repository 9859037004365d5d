"""What stores on one Redis send each other: changes, each once and in order, and peer states."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgpack
import pytest

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import (
    Cancel,
    Delete,
    Finish,
    KeepAlive,
    Lease,
    Start,
    Submit,
)
from acestep_ray.jobs.store.records import ChangeKind, JobChange
from acestep_ray.jobs.store.redis import RedisStore, peers, script, store
from acestep_ray.jobs.store.redis.peers import RedisPeers
from tests.redis_server import RedisServer
from tests.service import until
from tests.unit.jobs.store.contract import in_short

IN_TIME = 30.0
"""Seconds; the awaited events come much earlier."""


def submit(to: RedisStore, *job_ids: str) -> None:
    to.apply([Submit(job_id, "{}", False, max_queued=10**6) for job_id in job_ids], 1.0)


def ids(changes: list[JobChange]) -> list[str]:
    return [one.job_id for one in changes]


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
    assert received.changes == there.take_changes()
    assert in_short(received.changes) == [
        ("a", ChangeKind.SUBMITTED, Status.QUEUED),
        ("b", ChangeKind.SUBMITTED, Status.QUEUED),
        ("a", ChangeKind.STARTED, Status.RUNNING),
        ("a", ChangeKind.ENDED, Status.SUCCEEDED),
        ("b", ChangeKind.ENDED, Status.FAILED),
    ]
    assert not received.missed
    assert listener.exchange("", 0).changes == []
    assert ids(here.take_changes()) == ["c"]


def test_an_earlier_release_reads_ids_and_states_as_ever(
    here: RedisStore, server: RedisServer
) -> None:
    """Clusters of both releases share a Redis during an upgrade."""
    submit(here, "a", "b")
    here.apply([Cancel("a"), Delete("b")], 2.0)
    entries = [fields for _, fields in server.do("XRANGE", "{acestep}:changes", "-", "+")]
    assert [msgpack.unpackb(fields[b"jobs"]) for fields in entries] == [
        [["a", "queued"], ["b", "queued"]],
        [["a", "failed"], ["b", "failed"], ["b", "failed"]],
    ]


def test_what_an_earlier_release_reports_is_understood(
    listener: RedisPeers, server: RedisServer
) -> None:
    states = [["a", "queued"], ["a", "running"], ["a", "succeeded"], ["b", "failed"]]
    entry = ("store", "old", "jobs", msgpack.packb(states))
    server.do("XADD", "{acestep}:changes", "0-*", *entry)
    received = listener.exchange("", 0)
    assert received.changes == [
        JobChange("a", ChangeKind.SUBMITTED, Status.QUEUED),
        JobChange("a", ChangeKind.STARTED, Status.RUNNING),
        JobChange("a", ChangeKind.ENDED, Status.SUCCEEDED),
        JobChange("b", ChangeKind.ENDED, Status.FAILED),
    ]
    assert not received.missed


def test_what_a_later_release_reports_is_understood_as_far_as_it_is_known(
    listener: RedisPeers, server: RedisServer
) -> None:
    later = {"job_id": "a", "status": "running", "kind": "paused", "at": 7, "brand_new": 1}
    entry = {"store": "new", "jobs": [["a", "running"]], "changes": [later]}
    entry |= {name: msgpack.packb(entry[name]) for name in ("jobs", "changes")}
    fields = [word for field in entry.items() for word in field]
    server.do("XADD", "{acestep}:changes", "0-*", *fields)
    assert listener.exchange("", 0).changes == [
        JobChange("a", ChangeKind.STARTED, Status.RUNNING, at=7.0)
    ]


def test_a_change_ends_the_wait(
    there: RedisStore, listener: RedisPeers, server: RedisServer
) -> None:
    with ThreadPoolExecutor(1) as pool:
        # Longer than a connection waits for a reply, so it cannot be received just by waiting.
        received = pool.submit(listener.exchange, "", 0.9)
        until(lambda: server.do("INFO", "clients")["blocked_clients"] == 1, "nobody waits")
        submit(there, "a")
        assert ids(received.result(IN_TIME).changes) == ["a"]


def test_whoever_reads_too_late_has_missed_changes(
    there: RedisStore, listener: RedisPeers, server: RedisServer
) -> None:
    for number in range(5):
        submit(there, f"{number}")
    server.do("XTRIM", "{acestep}:changes", "MAXLEN", 2)
    received = listener.exchange("", 0)
    assert received.missed
    assert ids(received.changes) == ["3", "4"]
    submit(there, "5")
    received = listener.exchange("", 0)
    assert (received.missed, ids(received.changes)) == (False, ["5"])


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
    assert ids(listener.exchange("", 0).changes) == ["b"]


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
    assert ids(listener.exchange("", 0).changes) == ["d"]


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
