"""The store against real second processes: which one owns it, and what a killed owner leaves."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from acestep_ray.jobs.store.errors import StoreLocked
from acestep_ray.jobs.store.operations import Get, ListJobs
from acestep_ray.jobs.store.sqlite import SqliteStore
from tests.unit.jobs.store.contract import ask

OWNER = """
import sys
from pathlib import Path
from acestep_ray.jobs.store.operations import Submit
from acestep_ray.jobs.store.sqlite import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
print("open", flush=True)
number = 0
while sys.argv[2] == "write" or sys.stdin.readline():
    # Three jobs a batch, large enough that a batch is many pages; acknowledged once it is applied.
    jobs = [Submit(f"{number}-{part}", "x" * 20_000, False, max_queued=10**9) for part in "abc"]
    store.apply(jobs, 1.0)
    print(number, flush=True)
    number += 1
"""


@contextmanager
def owner(path: Path, mode: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns the store; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def test_the_store_has_one_owner_until_it_dies(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with owner(path, "idle") as process, ThreadPoolExecutor(1) as thread:
        with pytest.raises(StoreLocked, match=rf"{path} is in use .*\({process.pid}\)"):
            SqliteStore(path, lock_wait=0.1)
        successor = thread.submit(SqliteStore, path, lock_wait=60)
        process.send_signal(signal.SIGKILL)
        store = successor.result(timeout=60)
        lock = path.with_name("jobs.sqlite.lock")
        assert lock.read_text() == str(os.getpid())
        store.close()


def test_two_stores_in_one_process_are_two_owners(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    first = SqliteStore(path)
    with pytest.raises(StoreLocked):
        SqliteStore(path, lock_wait=0)
    first.close()
    SqliteStore(path, lock_wait=0).close()


def test_a_program_that_the_owner_started_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    store = SqliteStore(path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        store.close()
        SqliteStore(path, lock_wait=0).close()
        child.kill()


@pytest.mark.parametrize("acknowledged", [1, 7, 40])
def test_what_was_acknowledged_outlives_a_killed_owner(tmp_path: Path, acknowledged: int) -> None:
    path = tmp_path / "jobs.sqlite"
    with owner(path, "write") as process:
        assert process.stdout is not None
        for number in range(acknowledged):
            assert process.stdout.readline() == f"{number}\n"
        process.send_signal(signal.SIGKILL)  # in the middle of a later batch
        last = acknowledged - 1
        for line in process.stdout:
            last = int(line)
    store = SqliteStore(path, lock_wait=60)
    jobs = ask(store, ListJobs(limit=10**6), 2.0)
    found = [job.job_id for job in reversed(jobs)]
    # Every batch that was acknowledged, perhaps the one being written, and none in part.
    batches = len(found) // 3
    assert batches in (last + 1, last + 2)
    assert found == [f"{number}-{part}" for number in range(batches) for part in "abc"]
    job = ask(store, Get(found[-1]), 2.0)
    assert (job.spec, job.position) == ("x" * 20_000, len(found))
    store.close()
