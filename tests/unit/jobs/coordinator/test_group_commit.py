"""Many callers, one transaction; an error of one caller affects only that caller."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from acestep_ray.jobs.coordinator.group_commit import MAX_GROUP, GroupCommit
from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.errors import JobNotFound, StoreFull, StoreLocked, StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Get, Op, Stats, Submit
from acestep_ray.jobs.store.records import (
    ChangeKind,
    JobChange,
    JobRecord,
    StoreStats,
    Submitted,
)
from acestep_ray.jobs.store.sqlite import SqliteStore
from tests.unit.jobs.gated_store import GatedStore


def submit(job_id: str) -> Submit:
    return Submit(job_id, "spec", needs_plan=False, max_queued=10**6)


class Setup:
    """An open group commit, its store, and what it published."""

    def __init__(self, path: Path) -> None:
        self.changes: list[JobChange] = []
        self.commit = GroupCommit(self.open_store, lambda: 1000.0, self.changes.extend)
        self.path = path

    @property
    def published(self) -> list[tuple[str, ChangeKind]]:
        return [(one.job_id, one.kind) for one in self.changes]

    def open_store(self) -> GatedStore:
        self.store = GatedStore(self.path)
        return self.store

    async def hold(self) -> asyncio.Task[list[object]]:
        """A call that is being written to disk, and stays so until the gate is opened."""
        self.store.gate.clear()
        self.store.waiting.clear()
        call = asyncio.create_task(self.commit.apply([Stats()]))
        await asyncio.to_thread(self.store.waiting.wait, 60)
        return call


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    setup = Setup(tmp_path / "jobs.sqlite")
    await setup.commit.open()
    yield setup
    setup.store.gate.set()
    await setup.commit.close()


async def test_callers_that_come_meanwhile_go_together(setup: Setup) -> None:
    await setup.hold()
    calls = [
        asyncio.create_task(setup.commit.apply([submit(f"{n}"), Get(f"{n}"), Get("nobody")]))
        for n in range(100)
    ]
    await asyncio.sleep(0)
    setup.store.gate.set()
    for n, (submitted, record, nobody) in enumerate(await asyncio.gather(*calls)):
        assert submitted == Submitted(f"{n}", Status.QUEUED, position=n + 1, created=True)
        assert isinstance(record, JobRecord)
        assert record.job_id == f"{n}"
        assert isinstance(nobody, JobNotFound)
    assert [len(batch) for batch in setup.store.batches] == [1, 300]
    assert setup.published == [(f"{n}", ChangeKind.SUBMITTED) for n in range(100)]


async def test_a_group_has_a_limit_but_a_single_caller_has_none(setup: Setup) -> None:
    await setup.hold()
    sizes = [MAX_GROUP - 10, 10, 1, MAX_GROUP + 5, 1]
    ops: list[list[Op]] = [[Get("nobody")] * size for size in sizes]
    calls = [asyncio.create_task(setup.commit.apply(batch)) for batch in ops]
    await asyncio.sleep(0)
    setup.store.gate.set()
    assert [len(answers) for answers in await asyncio.gather(*calls)] == sizes
    assert [len(batch) for batch in setup.store.batches[1:]] == [MAX_GROUP, 1, MAX_GROUP + 5, 1]


async def test_the_store_lives_in_one_thread_that_is_not_the_loops(setup: Setup) -> None:
    await asyncio.gather(*(setup.commit.apply([submit(f"{n}")]) for n in range(20)))
    await setup.commit.close()
    assert len(setup.store.threads) == 1
    assert threading.get_ident() not in setup.store.threads


async def test_an_unavailable_store_is_reported_to_everybody_and_nothing_has_happened(
    setup: Setup,
) -> None:
    def full(batch: Sequence[Op]) -> None:
        raise StoreUnavailable("The disk is full.")

    setup.store.fault = full
    calls = [setup.commit.apply([submit(job_id)]) for job_id in "abc"]
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(error) for error in errors] == ["The disk is full."] * 3
    assert all(isinstance(error, StoreUnavailable) for error in errors)
    setup.store.fault = lambda batch: None
    (stats,) = await setup.commit.apply([Stats()])
    assert isinstance(stats, StoreStats)
    assert stats.queued == 0
    await asyncio.gather(*(setup.commit.apply([submit(job_id)]) for job_id in "abc"))
    assert [job_id for job_id, _ in setup.published] == ["a", "b", "c"]


async def test_a_batch_at_fault_fails_its_own_caller_only(setup: Setup) -> None:
    bad = Submit("b", "\ud800 is half a character", needs_plan=False)
    calls = [setup.commit.apply([op]) for op in (submit("a"), bad, submit("c"))]
    first, second, third = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(second, UnicodeEncodeError)
    assert first == [Submitted("a", Status.QUEUED, 1, created=True)]
    assert third == [Submitted("c", Status.QUEUED, 2, created=True)]
    assert setup.published == [("a", ChangeKind.SUBMITTED), ("c", ChangeKind.SUBMITTED)]


async def test_a_full_store_fails_those_who_bring_jobs_only(setup: Setup) -> None:
    await setup.commit.apply([submit("a")])

    def full(batch: Sequence[Op]) -> None:
        if any(isinstance(op, Submit) for op in batch):
            raise StoreFull("No room.")

    setup.store.fault = full
    calls = [setup.commit.apply([op]) for op in (submit("b"), Cancel("a"), Get("b"))]
    first, second, third = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(first, StoreFull)
    assert isinstance(second, list)
    assert isinstance(third, list)
    assert isinstance(third[0], JobNotFound)
    assert setup.published == [("a", ChangeKind.SUBMITTED), ("a", ChangeKind.ENDED)]


async def test_a_caller_that_gives_up_in_time_takes_its_batch_back(setup: Setup) -> None:
    held = await setup.hold()
    quitter = asyncio.create_task(setup.commit.apply([submit("quitter")]))
    stayer = asyncio.create_task(setup.commit.apply([submit("stayer")]))
    await asyncio.sleep(0)
    quitter.cancel()
    held.cancel()  # this caller's batch is already being written
    setup.store.gate.set()
    assert await stayer == [Submitted("stayer", Status.QUEUED, 1, created=True)]
    assert setup.store.batches == [[Stats()], [submit("stayer")]]


async def test_closing_finishes_what_was_asked_and_lets_go(setup: Setup) -> None:
    await setup.hold()
    call = asyncio.create_task(setup.commit.apply([submit("a")]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(setup.commit.close())
    await asyncio.sleep(0)
    with pytest.raises(StoreUnavailable, match="not open"):
        await setup.commit.apply([Cancel("a")])
    setup.store.gate.set()
    await closing
    assert await call == [Submitted("a", Status.QUEUED, 1, created=True)]
    await setup.commit.close()
    SqliteStore(setup.path, lock_wait=0).close()


async def test_an_opening_that_fails_raises(tmp_path: Path) -> None:
    owner = SqliteStore(tmp_path / "jobs.sqlite")
    commit = GroupCommit(
        lambda: SqliteStore(tmp_path / "jobs.sqlite", lock_wait=0), lambda: 0.0, lambda _: None
    )
    with pytest.raises(StoreLocked):
        await commit.open()
    with pytest.raises(StoreUnavailable):
        await commit.apply([Stats()])
    await commit.close()
    owner.close()


async def test_an_opening_that_is_abandoned_leaves_no_store_behind(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    owner = SqliteStore(path)
    began = threading.Event()

    def open_store() -> SqliteStore:
        began.set()
        return SqliteStore(path, lock_wait=60)

    commit = GroupCommit(open_store, lambda: 0.0, lambda _: None)
    opening = asyncio.create_task(commit.open())
    await asyncio.to_thread(began.wait, 60)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    closing = asyncio.create_task(commit.close())
    await asyncio.sleep(0)
    owner.close()
    await closing
    SqliteStore(path, lock_wait=0).close()
