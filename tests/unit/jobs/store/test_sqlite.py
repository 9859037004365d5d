"""Tests of SQLite alone: durability, one owner, a database that fails, cost, and disk space."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import (
    Cancel,
    Delete,
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
    Stats,
    Submit,
    Sweep,
)
from acestep_ray.jobs.store.records import DeliveryState
from acestep_ray.jobs.store.sqlite import SqliteStore
from tests.unit.jobs.store.contract import StoreHarness, ask

SPEC = "x" * 5000


def submit(*job_ids: str) -> list[Op]:
    return [Submit(job_id, SPEC, needs_plan=False, max_queued=10**6) for job_id in job_ids]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "jobs.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path, lock_wait=0, busy_wait=0.05)
    yield store
    store.close()


def connection(store: SqliteStore) -> sqlite3.Connection:
    assert store._db is not None
    return store._db


def test_each_transaction_is_synced(store: SqliteStore) -> None:
    pragmas = {
        name: connection(store).execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("synchronous", "journal_mode", "auto_vacuum")
    }
    assert pragmas == {"synchronous": 2, "journal_mode": "wal", "auto_vacuum": 2}


# A database that fails


def assert_nothing_happened(store: SqliteStore, before: list[object]) -> None:
    assert store.apply([ListJobs(), Stats()], 1.0) == before
    assert store.take_changes() == []


def test_a_foreign_lock_is_reported_and_healed_by_a_retry(store: SqliteStore, path: Path) -> None:
    store.apply(submit("a"), 1.0)
    store.take_changes()
    before = store.apply([ListJobs(), Stats()], 1.0)
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    batch = [*submit("b"), Cancel("a")]
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"cannot be used: database is locked\.$"):
            store.apply(batch, 2.0)
    # Reading continues meanwhile.
    assert_nothing_happened(store, before)
    assert store.apply([IsOwner("a", 1), ListGarbage()], 2.0) == [False, []]
    foreign.close()
    store.apply(batch, 3.0)
    assert [change.job_id for change in store.take_changes()] == ["b", "a"]
    record = ask(store, Get("b"), 3.0)
    assert record.position == 1


def test_a_full_database_is_reported_and_healed_by_room(store: SqliteStore) -> None:
    store.apply(submit("a"), 1.0)
    store.take_changes()
    before = store.apply([ListJobs(), Stats()], 1.0)
    db = connection(store)
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    batch = [Cancel("a"), *submit("b", "c", "d")]
    with pytest.raises(StoreUnavailable, match="database or disk is full"):
        store.apply(batch, 2.0)
    assert_nothing_happened(store, before)
    store.apply([Cancel("a")], 2.0)  # operations that need no space still work
    db.execute("PRAGMA max_page_count = 1000000")
    store.apply(batch, 2.0)
    assert store.apply([Stats()], 2.0) != before[1:]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_takes_no_more_is_reported_and_healed_by_room(
    store: SqliteStore, path: Path
) -> None:
    store.apply(submit("a"), 1.0)
    store.take_changes()
    before = store.apply([ListJobs(), Stats()], 1.0)
    log = path.with_name(path.name + "-wal")
    batch = submit("b", "c", "d")
    with largest_file(log.stat().st_size + 10_000):
        with pytest.raises(StoreUnavailable):
            store.apply(batch, 2.0)
        assert_nothing_happened(store, before)
    store.apply(batch, 2.0)
    store.close()
    reopened = SqliteStore(path, lock_wait=0)
    jobs = ask(reopened, ListJobs(), 3.0)
    reopened.close()
    assert [job.job_id for job in jobs] == ["d", "c", "b", "a"]


def test_a_batch_at_fault_is_undone_and_reported_as_its_own_fault(store: SqliteStore) -> None:
    """A retry would not solve it, so the error must not suggest one."""
    before = store.apply([ListJobs(), Stats()], 1.0)
    bad = Submit("b", "\ud800 is half a character", needs_plan=False)
    with pytest.raises(UnicodeEncodeError):
        store.apply([*submit("a"), bad], 1.0)
    assert_nothing_happened(store, before)
    (answer,) = store.apply(submit("a"), 1.0)
    assert getattr(answer, "position", None) == 1


def test_a_broken_connection_is_replaced(store: SqliteStore) -> None:
    store.apply(submit("a"), 1.0)
    connection(store).close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.apply(submit("b"), 1.0)
    store.apply(submit("b"), 1.0)
    jobs = ask(store, ListJobs(), 1.0)
    assert [(job.job_id, job.position) for job in jobs] == [("b", 2), ("a", 1)]


def test_a_file_that_is_no_database_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    path.write_text("Dear diary, today I learned to write. " * 100)
    for _ in range(2):  # and the lock is released
        with pytest.raises(StoreUnavailable, match=r"file is not a database\.$"):
            SqliteStore(path, lock_wait=0)


def test_a_folder_that_cannot_be_made_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        SqliteStore(tmp_path / "file" / "jobs.sqlite")


def test_a_closed_store_is_unavailable(store: SqliteStore) -> None:
    store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        store.apply([Stats()], 1.0)


# Cost


def instructions(store: SqliteStore, *batch: Op) -> int:
    """How many of its instructions SQLite runs for a batch."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    connection(store).set_progress_handler(step, 1)
    try:
        store.apply(batch, 1.0)
    finally:
        connection(store).set_progress_handler(None, 1)
    return count


@pytest.mark.parametrize("kinds", ["plan", "no plan", "both"])
def test_a_thousand_queued_jobs_cost_no_more_than_a_hundred(tmp_path: Path, kinds: str) -> None:
    """And as many ended ones."""
    costs: dict[int, dict[str, int]] = {}
    for queued in (100, 1_000):
        store = SqliteStore(tmp_path / f"{queued}.sqlite")
        ended = [Submit(f"e{n}", "{}", False, "o", max_queued=10**6) for n in range(queued)]
        store.apply([*ended, KeepAlive("r", 1e6), Lease("r", "0", 0, queued)], 1.0)
        store.apply([Finish(job.job_id, 1, result="{}") for job in ended], 1.0)
        plans = {"plan": (True,), "no plan": (False,), "both": (True, False)}[kinds]
        jobs = [
            Submit(f"j{n}", "{}", plans[n % len(plans)], "o", max_queued=10**6)
            for n in range(queued)
        ]
        store.apply(jobs, 1.0)
        last = f"j{queued - 1}"
        costs[queued] = {
            "submit": instructions(store, Submit("new", "{}", True, max_queued=10**6)),
            "position": instructions(store, Get(last)),
            "lease": instructions(store, Lease("r", "1", plan_slots=2, decode_slots=2)),
            "nothing to lease": instructions(store, Lease("r", "2", plan_slots=2, decode_slots=2)),
            "release": instructions(store, Release("j0", 1, lost=True)),
            "sweep": instructions(store, Sweep()),
            "stats": instructions(store, Stats()),
            "list": instructions(store, ListJobs(limit=5)),
            "list all of a status": instructions(store, ListJobs(status=Status.FAILED)),
            "list an owner's": instructions(store, ListJobs(limit=5, owner="o")),
            "list an owner's of a status": instructions(store, ListJobs(Status.FAILED, owner="o")),
            "purge": instructions(store, Purge(1, 1, 1, limit=5)),
            "cancel": instructions(store, Cancel(last)),
            "delete": instructions(store, Delete(last)),
        }
        store.close()
    ratios = {op: costs[1_000][op] / costs[100][op] for op in costs[100]}
    assert {op: ratio for op, ratio in ratios.items() if not 0.8 < ratio < 1.25} == {}


@pytest.mark.parametrize("owner", [None, "o"])
def test_a_thousand_failed_jobs_are_listed_like_a_hundred(
    tmp_path: Path, owner: str | None
) -> None:
    costs = []
    for failed in (100, 1_000):
        store = SqliteStore(tmp_path / f"{failed}.sqlite")
        jobs = [Submit(f"j{n}", "{}", False, "o", max_queued=10**6) for n in range(failed)]
        store.apply([*jobs, *(Cancel(job.job_id) for job in jobs[10:])], 1.0)
        store.apply([KeepAlive("r", 1e6), Lease("r", "0", 0, 10)], 1.0)
        store.apply([Finish(job.job_id, 1, error="x") for job in jobs[:10]], 1.0)
        rare = ListJobs(Status.FAILED, 20, owner=owner, error_codes=(ErrorCode.INTERNAL,))
        some = ListJobs(limit=20, owner=owner, error_codes=(*ErrorCode,), brief=True)
        assert [len(ask(store, op, 1.0)) for op in (rare, some)] == [10, 20]
        costs.append((instructions(store, rare), instructions(store, some)))
        store.close()
    for small, large in zip(*costs, strict=True):
        assert large / small < 1.25


def test_webhook_messages_that_are_not_due_cost_nothing(store: SqliteStore) -> None:
    """The sender asks every second, in a service without webhooks, too."""
    costs = []
    for first, number in ((0, 100), (100, 900)):
        names = [f"j{n}" for n in range(first, first + number)]
        kinds = ("submitted",)
        store.apply(
            [Submit(n, "{}", False, webhook_kinds=kinds, max_queued=10**6) for n in names], 1
        )
        taken = ask(store, LeaseDeliveries(10**6, 10**6, f"{first}"), 1.0)
        assert len(taken) == number
        written = connection(store).total_changes
        nothing = instructions(store, LeaseDeliveries(10, 60.0, f"nothing {first}"))
        assert connection(store).total_changes == written
        outcome = SaveDelivery(f"j{first}-submitted-0", DeliveryState.PENDING, 1, 10.0**6)
        costs.append((nothing, instructions(store, outcome, ListDeliveries("j0"))))
    for small, large in zip(*costs, strict=True):
        assert large / small < 1.25


# Space


def test_the_files_shrink_after_a_purge(shrinking_harness: StoreHarness, path: Path) -> None:
    harness = shrinking_harness

    def used() -> int:
        return sum(file.stat().st_size for file in path.parent.iterdir())

    harness.do(Purge(1, 1e6, 1e6))
    empty = used()
    for first in range(0, 1000, 100):
        harness.batch(*submit(*(f"job {first + n}" for n in range(100))))
        harness.batch(*(Cancel(f"job {first + n}") for n in range(100)))
    full = used()
    assert full > empty + 5_000_000
    harness.now += 10
    assert [harness.do(Purge(1, 1e6, 1e6)) for _ in range(3)] == [500, 500, 0]
    assert used() < empty + 0.05 * (full - empty)  # ids of expired jobs and garbage stay


@pytest.fixture
def shrinking_harness(path: Path) -> Iterator[StoreHarness]:
    harness = StoreHarness(lambda: SqliteStore(path, lock_wait=0))
    yield harness
    harness.store.close()


def test_a_foreign_reader_does_not_hold_up_a_purge(store: SqliteStore, path: Path) -> None:
    store.apply([*submit("a", "b"), Cancel("a")], 1.0)
    foreign = sqlite3.connect(path, isolation_level=None)
    foreign.execute("BEGIN")
    foreign.execute("SELECT * FROM jobs").fetchone()
    assert store.apply([Purge(1, 1, 1)], 10.0) == [1]
    foreign.close()
    assert connection(store).execute("PRAGMA busy_timeout").fetchone() == (50,)


def test_an_error_code_of_a_later_release_is_read(store: SqliteStore) -> None:
    store.apply([*submit("a"), Cancel("a")], 1.0)
    connection(store).execute("UPDATE jobs SET error_code = 'brand_new'")
    jobs = ask(store, ListJobs(), 2.0)
    assert [job.error_code for job in jobs] == [ErrorCode.INTERNAL]
    purge = Purge(keep=0, keep_expired=9, keep_idempotency=9)
    assert store.apply([purge], 9.0) == [1]
