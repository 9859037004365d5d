"""The job store is checked without a change of anything in it, while a service may use it."""

import os
import sqlite3
from pathlib import Path

import pytest

from acestep_ray.jobs.store.operations import ListJobs, Submit
from acestep_ray.jobs.store.redis import RedisStore
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.startup.doctor.result import Level
from tests.redis_server import RedisServer
from tests.service import free_port
from tests.unit.startup.doctor.conftest import Doctor

JOB = Submit("a", "{}", needs_plan=False, max_queued=10)


@pytest.fixture
def path(doctor: Doctor) -> Path:
    return doctor.folder / "data" / "jobs.sqlite"


@pytest.fixture
def server(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    server = RedisServer(tmp_path / "redis")
    monkeypatch.setenv("ACESTEP_STORE", server.url)
    return server


# SQLite


def test_a_file_in_use_is_left_to_its_owner(doctor: Doctor, path: Path) -> None:
    """If no service answers: it hangs, or another program uses the file."""
    store = SqliteStore(path)
    store.apply([JOB], 1.0)
    before = {file.name: file.stat().st_mtime_ns for file in path.parent.iterdir()}
    message = doctor.problem("job store")
    assert f"{path} is in use by another process ({os.getpid()})" in message
    assert {file.name: file.stat().st_mtime_ns for file in path.parent.iterdir()} == before
    store.apply([ListJobs()], 1.0)
    store.close()
    assert doctor.well("job store") == f"The job store {path} can be read and written"
    assert {file.name for file in path.parent.iterdir()} == {"jobs.sqlite", "jobs.sqlite.lock"}


def test_a_file_of_a_later_release_is_a_problem(doctor: Doctor, path: Path) -> None:
    SqliteStore(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    db.close()
    assert "has schema version 999, but this release knows" in doctor.problem("job store")


def test_a_file_that_is_no_database_is_a_problem(doctor: Doctor, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("some text that somebody has put there")
    assert "it is not a database" in doctor.problem("job store")


def test_a_folder_in_its_place_is_a_problem(doctor: Doctor, path: Path) -> None:
    path.mkdir(parents=True)
    assert f"{path} cannot be used (Is a directory)" in doctor.problem("job store")


def test_a_file_of_any_folder_is_a_warning(doctor: Doctor) -> None:
    doctor.args["store"] = "sqlite:///jobs.db"
    assert "give it with four slashes" in doctor.warning("job store")


# Redis


def test_a_good_one_is_described_and_nothing_is_written(
    doctor: Doctor, server: RedisServer
) -> None:
    server.start()
    message = doctor.well("job store")
    assert "append-only file, appendfsync always" in message
    assert server.do("DBSIZE") == 0
    RedisStore(server.url).close()
    assert doctor.well("job store") == message
    server.kill()


def test_one_that_is_not_there_is_a_problem(doctor: Doctor, server: RedisServer) -> None:
    assert f"127.0.0.1:{server.port}) cannot be reached" in doctor.problem("job store")


def test_one_that_does_not_answer_is_a_problem_soon(doctor: Doctor, server: RedisServer) -> None:
    server.start()
    server.pause()
    assert "does not answer" in doctor.problem("job store")
    server.resume()
    server.kill()


def test_one_that_keeps_nothing_is_a_problem(doctor: Doctor, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", appendonly="no") as server:
        doctor.args["store"] = server.url
        assert "set appendonly yes" in doctor.problem("job store")
        doctor.args["store"] = f"{server.url}?volatile=allow"
        assert "may be lost (volatile=allow)" in doctor.well("job store")


def test_a_wrong_password_is_a_problem_and_never_shown(doctor: Doctor, tmp_path: Path) -> None:
    with RedisServer(tmp_path / "redis", requirepass="open sesame") as server:
        doctor.args |= {"store": server.url, "store_password": "a guess"}
        message = doctor.problem("job store")
        assert "set ACESTEP_STORE_PASSWORD" in message and "guess" not in message
        doctor.args["store_password"] = "open sesame"
        assert "sesame" not in doctor.well("job store")


def test_a_replica_is_a_problem(doctor: Doctor, server: RedisServer, tmp_path: Path) -> None:
    server.start()
    with RedisServer(tmp_path / "replica", replicaof=f"127.0.0.1 {server.port}") as replica:
        doctor.args["store"] = replica.url
        os.environ.pop("ACESTEP_STORE")
        assert "name its primary in ACESTEP_STORE" in doctor.problem("job store")
    server.kill()


def test_what_a_power_cut_or_a_full_memory_costs_is_a_warning(
    doctor: Doctor, server: RedisServer
) -> None:
    server.start()
    server.do("CONFIG SET", "appendfsync", "no")
    assert "has appendfsync no" in doctor.warning("job store")
    server.do("CONFIG SET", "appendfsync", "always")
    server.do("CONFIG SET", "maxmemory", "1")
    assert "takes no new jobs when it is full" in doctor.warning("job store")
    server.kill()


def test_half_an_import_is_a_problem(doctor: Doctor, server: RedisServer) -> None:
    server.start()
    server.do("HSET", "{acestep}:meta", "version", "1", "importing", "/data/jobs.sqlite")
    assert "holds only a part of /data/jobs.sqlite" in doctor.problem("job store")
    server.kill()


def test_a_port_of_something_else_is_a_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACESTEP_STORE", f"redis://127.0.0.1:{free_port()}/0")
    assert Level.OK not in {found.level for found in doctor.check("job store")}
