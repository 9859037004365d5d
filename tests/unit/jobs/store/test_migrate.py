"""Jobs are moved from SQLite to Redis: all of them, once, and without loss."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acestep_ray.cli import main
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.errors import JobExpired, StoreLocked, StoreUnsuitable
from acestep_ray.jobs.store.migration import migrate as migration
from acestep_ray.jobs.store.migration.migrate import migrate
from acestep_ray.jobs.store.migration.redis_import import RedisRestore
from acestep_ray.jobs.store.operations import (
    Backlog,
    Cancel,
    Delete,
    Deregister,
    Finish,
    Get,
    IsOwner,
    KeepAlive,
    Lease,
    LeaseDeliveries,
    ListDeliveries,
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
)
from acestep_ray.jobs.store.protocol import JobStore
from acestep_ray.jobs.store.records import DeliveryState
from acestep_ray.jobs.store.redis import RedisStore
from acestep_ray.jobs.store.sqlite import SqliteStore
from tests.redis_server import RedisServer, empty_redis
from tests.unit.jobs.store.contract import ask

NOW = 100.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store with jobs in every state, whose service has just ended without Deregister."""
    path = tmp_path / "jobs.sqlite"
    store = SqliteStore(path)
    for number in range(12):
        submit = Submit(
            f"{number}",
            f'{{"caption": "♯ {number}"}}',
            needs_plan=number % 3 > 0,
            owner="xy"[number % 2],
            idempotency_key=f"{number}" if number % 4 else None,
            fingerprint=f"body {number}",
            planner=f"p{number % 3}",
            work=number / 3,
            task="cover",
            webhook='{"url": "http://♯"}',
            webhook_kinds=("submitted", "running", "ended") if number % 2 else (),
        )
        store.apply([submit], 1.1 * number)
    store.apply([KeepAlive("r", 100), KeepAlive("s", 100)], 20.0)
    jobs = ask(store, Lease("r", "1", 4, 2, cluster="east"), 21.0)
    for step, job in enumerate(jobs):
        attempt = (job.job_id, job.attempt)
        if step > 0:
            store.apply([Start(*attempt), SavePlan(*attempt, "plan", 1.5, 2.5)], 22.123456789)
        if step == 1:
            store.apply([Finish(*attempt, result='{"takes": []}', device_seconds=0.1)], 23.3)
        elif step == 2:
            store.apply([Finish(*attempt, error="no")], 24.0)
        elif step == 3:
            store.apply([Release(*attempt, lost=True)], 25.0)
    store.apply([Lease("s", "1", 9, 9, cluster="west"), Cancel("11"), Delete("10")], 26.0)
    last = Submit(
        "last", "{}", needs_plan=False, webhook="{}", webhook_kinds=("submitted", "ended")
    )
    store.apply([last, Delete("last")], 27.0)
    messages = ask(store, LeaseDeliveries(5, 30.0, "1"), 28.0)
    for message, state in zip(messages, DeliveryState, strict=False):
        outcome = SaveDelivery(message.delivery_id, state, 1, 29.25, 500, "It answered ♯.")
        store.apply([outcome], 28.5)
    store.close()
    return path


@pytest.fixture
def server() -> RedisServer:
    return empty_redis()


@pytest.fixture
def given_back(file: Path, tmp_path: Path) -> Iterator[SqliteStore]:
    """A copy of the store, with both runners deregistered."""
    shutil.copy(file, tmp_path / "copy.sqlite")
    store = SqliteStore(tmp_path / "copy.sqlite")
    store.apply([Deregister("r"), Deregister("s")], NOW)
    yield store
    store.close()


def totals(store: JobStore) -> list[object]:
    queries: list[Op] = [ListJobs(limit=100), Stats(), Backlog(), ListGarbage()]
    lists = [ListJobs(s, 100, owner=o) for s in (None, *Status) for o in (None, "x", "y")]
    lists += [ListJobs(owner=o, error_codes=(*ErrorCode,)) for o in (None, "x", "y")]
    names = (*(f"{number}" for number in range(12)), "last")
    messages = [ListDeliveries(job_id) for job_id in names]
    return store.apply([*queries, *lists, *messages], NOW)


def silent(line: str) -> None:
    """Progress that no code reads."""


def test_all_that_clients_can_see_is_moved(
    file: Path, given_back: SqliteStore, server: RedisServer
) -> None:
    counts = migrate(file, server.url, report=silent)
    assert {status for status, number in counts.jobs.items() if number} == {
        Status.QUEUED,
        Status.SUCCEEDED,
        Status.FAILED,
    }
    store = RedisStore(server.url)
    assert totals(store) == totals(given_back)
    for job_id in ("10", "last"):
        assert isinstance(store.apply([Get(job_id)], NOW)[0], JobExpired)
    store.close()


def test_the_queue_goes_on_as_it_would_have(
    file: Path, given_back: SqliteStore, server: RedisServer
) -> None:
    migrate(file, server.url, report=silent)
    store = RedisStore(server.url)
    again = Submit("new", "{}", True, "y", idempotency_key="1", fingerprint="body 1")
    other = Submit("other", "{}", True, "y", idempotency_key="1", fingerprint="another body")
    fresh = Submit("fresh", "{}", True, "x", planner="p1")
    steps: list[Any] = [
        [again, other, fresh, IsOwner("0", 1)],
        [KeepAlive("t", 100), Lease("t", "1", 3, 3)],
        [Finish("1", 1, result="late")],
        [Purge(1, 1000, 1000), Stats(), ListGarbage()],
    ]
    for batch in steps:
        here, there = store.apply(batch, NOW), given_back.apply(batch, NOW)
        for one, two in zip(here, there, strict=True):
            assert (one == two) or (type(one) is type(two) and str(one) == str(two))
    ask(store, Submit("at the end", "{}", False), NOW)
    assert totals(store)[0] != totals(given_back)[0]
    given_back.apply([Submit("at the end", "{}", False)], NOW)
    assert totals(store) == totals(given_back)
    store.close()


def test_webhook_messages_are_delivered_as_they_would_have_been(
    file: Path, given_back: SqliteStore, server: RedisServer
) -> None:
    """Moving a job makes no message; what happens to it later does."""
    counts = migrate(file, server.url, report=silent)
    assert counts.deliveries > 10
    store = RedisStore(server.url)
    for now in (NOW, NOW + 1e6):
        lease = LeaseDeliveries(1000, 30.0, f"at {now}")
        due = ask(store, lease, now)
        assert due == ask(given_back, lease, now)
        for some in (store, given_back):
            some.apply([Cancel("7"), Cancel("9")], now)
    assert {("7", "ended"), ("9", "ended")} <= {(one.job_id, one.kind) for one in due}
    store.close()


def test_the_file_stays_as_it_was(file: Path, server: RedisServer) -> None:
    def dump() -> list[str]:
        db = sqlite3.connect(file)
        lines = list(db.iterdump())
        db.close()
        return lines

    before = dump()
    migrate(file, server.url, report=silent)
    assert dump() == before


def test_a_running_service_keeps_its_jobs(file: Path, server: RedisServer) -> None:
    owner = SqliteStore(file)
    with pytest.raises(StoreLocked, match="stop it first"):
        migrate(file, server.url, report=silent)
    owner.close()
    store = RedisStore(server.url)
    peers = store.peers()
    peers.exchange("I run", 0)
    with pytest.raises(StoreUnsuitable, match="is in use by a service; stop it first"):
        migrate(file, server.url, report=silent)
    peers.close()
    store.close()


def test_jobs_are_not_mixed(file: Path, server: RedisServer) -> None:
    store = RedisStore(server.url)
    store.apply([Submit("other", "{}", False)], NOW)
    with pytest.raises(StoreUnsuitable, match=r"holds jobs.* name an empty database"):
        migrate(file, server.url, report=silent)
    store.apply([Delete("other")], NOW)  # its id still exists
    with pytest.raises(StoreUnsuitable, match="holds jobs"):
        migrate(file, server.url, report=silent)
    assert isinstance(store.apply([Get("other")], NOW)[0], JobExpired)
    store.close()


def test_an_interrupted_migration_is_run_again(
    file: Path, given_back: SqliteStore, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then an incomplete copy cannot be mistaken for the whole."""
    monkeypatch.setattr(migration, "BATCH", 5)
    write = RedisRestore.write
    written = 0

    def interrupted(self: RedisRestore, batch: Any) -> None:
        nonlocal written
        write(self, batch)
        written += 1
        if written == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(RedisRestore, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        migrate(file, server.url, report=silent)
    with pytest.raises(StoreUnsuitable, match=rf"holds only a part of {file}; run `acestep-ray mi"):
        RedisStore(server.url)
    # Meanwhile the service continued with the file: the file counts.
    for store in (SqliteStore(file), given_back):
        store.apply([Deregister("r"), Deregister("s"), Cancel("0")], NOW)
        if store is not given_back:
            store.close()
    output: list[str] = []
    migrate(file, server.url, report=output.append)
    redis = RedisStore(server.url)
    assert totals(redis) == totals(given_back)
    redis.close()
    assert "10 of 11 jobs" in output


def test_the_command(
    file: Path,
    server: RedisServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ACESTEP_STORE_PASSWORD", raising=False)
    source = f"sqlite:///{file}"
    for arguments, sentence in (
        ((server.url, source), "jobs are moved from SRC, sqlite:///FILE, to DST, redis://"),
        ((source, "postgres://h"), "the job store is sqlite:///FILE, redis://HOST:PORT/DB"),
        ((f"{source}.bak", server.url), f"There is no job store {file}.bak."),
        ((source, "redis://127.0.0.1:1"), "cannot be reached"),
    ):
        assert main(["migrate-store", *arguments]) == 2
        assert sentence in capsys.readouterr().err
    assert main(["migrate-store", source, server.url]) == 0
    output = capsys.readouterr().out
    assert "11 of 11 jobs" in output
    assert "All 11 jobs are there, 8 of them queued. Start the service with ACESTEP_STORE" in output
    assert "The audio stays where it is" in output
    assert main(["migrate-store", source, server.url]) == 2
    assert "name an empty database" in capsys.readouterr().err
