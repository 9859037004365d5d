"""A database of any earlier release opens with all its jobs; a failed migration damages none."""

import sqlite3
from pathlib import Path

import pytest

from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.store.errors import SchemaTooNew, StoreUnavailable
from acestep_ray.jobs.store.operations import (
    Backlog,
    Finish,
    LeaseDeliveries,
    ListDeliveries,
    Submit,
)
from acestep_ray.jobs.store.records import DeliveryState
from acestep_ray.jobs.store.sqlite import SqliteStore, schema
from acestep_ray.jobs.store.sqlite.schema import MIGRATIONS, migrate
from tests.unit.jobs.store.contract import StoreHarness

# A database of each version, written by that version; a new version adds one.
WRITTEN_BY = {
    version: Path(__file__).with_name(f"jobs_v{version}.sql")
    for version in range(1, len(MIGRATIONS) + 1)
}


def old_database(path: Path, version: int) -> Path:
    db = sqlite3.connect(path)
    db.executescript(WRITTEN_BY[version].read_text())
    db.close()
    return path


def user_version(path: Path) -> int:
    db = sqlite3.connect(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return int(version)


def tables(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    created = [
        " ".join(sql.split())
        for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
    ]
    db.close()
    return sorted(created)


def test_every_published_version_has_its_database() -> None:
    assert [file.name for file in WRITTEN_BY.values() if not file.exists()] == []


@pytest.mark.parametrize("version", WRITTEN_BY)
def test_an_old_database_becomes_like_a_new_one(tmp_path: Path, version: int) -> None:
    old = old_database(tmp_path / "old.sqlite", version)
    new = tmp_path / "new.sqlite"
    for path in (old, new):
        SqliteStore(path).close()
        assert user_version(path) == len(MIGRATIONS)
    assert tables(old) == tables(new)


@pytest.mark.parametrize("version", WRITTEN_BY)
def test_the_jobs_of_an_old_database_go_on(tmp_path: Path, version: int) -> None:
    path = old_database(tmp_path / "jobs.sqlite", version)
    harness = StoreHarness(lambda: SqliteStore(path))
    harness.now = 1030.0
    assert harness.statuses() == {
        "queued": Status.QUEUED,
        "leased": Status.QUEUED,
        "running": Status.RUNNING,
        "failed": Status.FAILED,
        "succeeded": Status.SUCCEEDED,
    }
    succeeded, failed, running = (harness.get(j) for j in ("succeeded", "failed", "running"))
    assert (succeeded.spec, succeeded.result) == ('{"caption": "succeeded"}', '{"takes": []}')
    assert (failed.error_code, failed.finished_at) == (ErrorCode.OUT_OF_MEMORY, 1021.0)
    assert (running.plan, running.attempt) == ('{"plan of": "running"}', 1)
    assert harness.positions() == {"leased": 1, "queued": 2}
    again = Submit(
        "new", "spec", False, "owner", idempotency_key="key of leased", fingerprint="body of leased"
    )
    assert harness.do(again).job_id == "leased"
    harness.submit("after")
    assert harness.get("after").place == 7
    backlog = harness.do(Backlog())
    plans = {item.job_id: item.plans for item in backlog}
    assert plans == {"running": 1, "leased": 1, "after": 1, "queued": 4 if version >= 5 else 1}
    decoders = {item.job_id: item.decoder for item in backlog if item.decoder}
    assert decoders == ({"queued": "Decoder-xl"} if version >= 6 else {})
    assert [r.job_id for r in harness.lease(plan_slots=9, decode_slots=9)] == ["queued", "after"]
    harness.store.close()


@pytest.mark.parametrize("version", WRITTEN_BY)
def test_the_webhooks_of_an_old_database_are_served(tmp_path: Path, version: int) -> None:
    path = old_database(tmp_path / "jobs.sqlite", version)
    harness = StoreHarness(lambda: SqliteStore(path))
    harness.now = 1030.0
    has_webhooks = version >= 4
    assert harness.get("running").task == ("text2music" if has_webhooks else "")
    assert ("example.org" in harness.get("running").webhook) is has_webhooks
    states = {one.kind: one.state for one in harness.do(ListDeliveries("succeeded"))}
    harness.do(Finish("running", 1, result="{}"))
    due = [one.delivery_id for one in harness.do(LeaseDeliveries(9, 60.0, "1"))]
    if has_webhooks:
        assert states == {
            "submitted": DeliveryState.DELIVERED,
            "running": DeliveryState.FAILED,
            "ended": DeliveryState.PENDING,
        }
        assert due == ["succeeded-ended-1", "running-ended-1"]
    else:
        assert (states, due) == ({}, [])
    harness.store.close()


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    SqliteStore(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 999")
    db.close()
    before = path.read_bytes()
    for _ in range(2):  # and the lock is released
        with pytest.raises(SchemaTooNew, match="has schema version 999, but this release knows"):
            SqliteStore(path, lock_wait=0)
    assert path.read_bytes() == before


def test_a_migration_runs_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = len(MIGRATIONS)
    path = old_database(tmp_path / "jobs.sqlite", newest)
    before = tables(path)
    add = "ALTER TABLE jobs ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'"
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, (add, "CREATE TABLE jobs (x)")))
    with pytest.raises(StoreUnavailable, match="table jobs already exists"):
        SqliteStore(path)
    assert (user_version(path), tables(path)) == (newest, before)

    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, (add,)))
    for _ in range(2):
        harness = StoreHarness(lambda: SqliteStore(path))
        assert len(harness.statuses()) == 5
        harness.store.close()
    assert user_version(path) == newest + 1
    db = sqlite3.connect(path)
    assert db.execute("SELECT DISTINCT colour FROM jobs").fetchall() == [("blue",)]
    db.close()


def test_a_failed_migration_leaves_the_connection_without_a_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (("CREATE TABLE a (x)", "nonsense"),))
    db = sqlite3.connect(":memory:", isolation_level=None)
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        migrate(db)
    assert not db.in_transaction
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == []
    db.close()
