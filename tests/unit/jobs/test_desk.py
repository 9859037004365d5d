"""The desk over a real store: snapshots, reports, the feed, opening and closing."""

import asyncio
from collections.abc import Sequence

import pytest

from acestep_ray.jobs.desk import PICTURE_SECONDS, JobDesk
from acestep_ray.jobs.job import ErrorCode
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import Capacity, Snapshot
from acestep_ray.jobs.store.protocol import (
    Backlog,
    Cancel,
    Delete,
    Finish,
    Garbage,
    Get,
    Goodbye,
    JobExpired,
    KeepAlive,
    ListJobs,
    Op,
    StoreLocked,
    StoreUnavailable,
    Submit,
)
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.settings import Settings
from tests.unit.jobs.office import (
    IN_TIME,
    Office,
    ask,
    now_of,
    submit,
    take,
    until,
)

HALF = Progress(stage="diffusion", step=4, total=8, fraction=0.5)
ONE = Capacity(planners=1, decoders=1, plan_slots=1, decode_slots=1)


# What clients see


async def test_queued_jobs_are_told_their_wait(office: Office) -> None:
    desk = await office.open()
    await submit(desk, "a", "b")
    first, second = await desk.apply([Get("a"), Get("b")])
    assert isinstance(first, Snapshot)
    assert isinstance(second, Snapshot)
    assert (first.eta_seconds, second.eta_seconds) == (5.0, 10.0)
    assert (second.record.position, second.progress, second.expires_at) == (2, None, None)
    assert await ask(desk, ListJobs()) == [second, first]


async def test_the_wait_follows_history_and_decoders(office: Office) -> None:
    desk = await office.open()
    await submit(desk, "a", "b")
    attempt = await take(desk, "a")
    office.ahead += 30
    await ask(desk, Finish("a", attempt, result="{}"))
    assert (await desk.stats()).job_seconds == 30.0
    assert (await ask(desk, Get("b"))).eta_seconds == 30.0
    await desk.report("r", Capacity(decoders=3), [])
    office.ahead += PICTURE_SECONDS
    assert (await ask(desk, Get("b"))).eta_seconds == 10.0
    assert (await ask(desk, Get("a"))).eta_seconds is None


async def test_history_is_known_again_after_a_restart(office: Office) -> None:
    desk = await office.open()
    await submit(desk, "a", "b")
    attempt = await take(desk, "a")
    office.ahead += 30
    await ask(desk, Finish("a", attempt, result="{}"))
    await desk.close()
    assert (await ask(await office.open(), Get("b"))).eta_seconds == 30.0


async def test_ended_jobs_are_told_when_they_expire(office: Office) -> None:
    desk = await office.open(keep=100.0)
    await submit(desk, "a")
    office.ahead = 7
    cancelled = await ask(desk, Cancel("a"))
    assert isinstance(cancelled, Snapshot)
    assert cancelled.record.error_code is ErrorCode.CANCELLED
    assert cancelled.expires_at == 1107.0
    assert await ask(desk, Get("a")) == cancelled


async def test_errors_are_answers_as_the_store_gives_them(office: Office) -> None:
    desk = await office.open()
    await submit(desk, "a")
    answers = await desk.apply([Delete("a"), Get("a"), Cancel("a"), Garbage()])
    assert [type(answer) for answer in answers] == [type(None), JobExpired, JobExpired, list]


# What runners report


async def test_progress_is_shown_while_its_attempt_runs(office: Office) -> None:
    desk = await office.open()
    await submit(desk, "a")
    attempt = await take(desk, "a")
    await desk.report("r", ONE, [("a", attempt, HALF), ("a", attempt - 1, HALF), ("x", 1, HALF)])
    assert (await ask(desk, Get("a"))).progress == HALF
    more = HALF.model_copy(update={"step": 5})
    await desk.report("r", ONE, [("a", attempt, more)])
    assert (await ask(desk, Get("a"))).progress == more
    await ask(desk, Goodbye("r"))
    assert (await ask(desk, Get("a"))).progress is None
    assert await take(desk, "a", runner="s") == attempt + 1
    await desk.report("r", ONE, [("a", attempt, HALF)])
    assert (await ask(desk, Get("a"))).progress is None


async def test_no_progress_is_kept_of_jobs_that_ended(office: Office) -> None:
    """Else the actor grows with every job."""
    desk = await office.open(lease_seconds=0.03)
    await submit(desk, *(f"{n}" for n in range(20)))
    for n in range(20):
        attempt = await take(desk, f"{n}")
        word = (f"{n}", attempt, HALF)
        # A last word that comes in the same moment as the end.
        await asyncio.gather(
            desk.report("r", ONE, [word]), ask(desk, Finish(f"{n}", attempt, result="{}"))
        )
        await desk.report("r", ONE, [word])
    await until(lambda: desk._reports.attempts() == [])


async def test_capacity_is_forgotten_with_its_runner(office: Office) -> None:
    desk = await office.open(lease_seconds=60.0)
    await desk.report("r", ONE, [])
    await ask(desk, KeepAlive("r", 100))
    office.ahead = 99
    assert (await desk.stats()).capacity == ONE
    office.ahead = 101
    assert (await desk.stats()).capacity == Capacity()
    await desk.report("s", ONE, [])
    assert (await desk.stats()).capacity == ONE
    await ask(desk, Goodbye("s"))
    assert (await desk.stats()).capacity == Capacity()


async def test_many_callers_cost_few_transactions(office: Office) -> None:
    desk = await office.open()
    before = len(office.store.batches)
    await asyncio.gather(*(submit(desk, f"{n}") for n in range(200)))
    assert len(office.store.batches) - before <= 3
    assert (await desk.stats()).store.queued == 200


# The feed


async def test_the_feed_tells_what_is_committed(office: Office) -> None:
    desk = await office.open()
    start = await now_of(desk)
    waiter = asyncio.create_task(desk.changes(start, IN_TIME))
    await submit(desk, "a", "b")
    changes = await waiter
    assert changes.job_ids == ("a", "b")
    await ask(desk, Get("a"))
    assert await now_of(desk) == (changes.epoch, changes.version)
    await ask(desk, Delete("a"))
    assert (await desk.changes((changes.epoch, changes.version), IN_TIME)).job_ids == ("a",)


async def test_a_restarted_desk_has_a_new_epoch(office: Office) -> None:
    desk = await office.open()
    old = await now_of(desk)
    await desk.close()
    assert (await (await office.open()).changes(old, IN_TIME)).missed


# Opening and closing


async def test_closing_answers_waiters_and_lets_go_of_the_store(office: Office) -> None:
    desk = await office.open()
    waiter = asyncio.create_task(desk.changes(await now_of(desk), 3600))
    await asyncio.sleep(0)
    await desk.close()
    assert (await waiter).job_ids == ()
    with pytest.raises(StoreUnavailable):
        await desk.apply([Get("a")])
    await desk.close()
    SqliteStore(office.path, lock_wait=0).close()


async def test_a_desk_that_cannot_open_says_so_and_another_can(office: Office) -> None:
    owner = SqliteStore(office.path)
    with pytest.raises(StoreLocked):
        await JobDesk(lambda: SqliteStore(office.path, lock_wait=0), Settings()).open()
    owner.close()
    desk = await office.open()
    await submit(desk, "a")


async def test_an_opening_that_is_abandoned_leaves_no_owner(office: Office) -> None:
    owner = SqliteStore(office.path)
    desk = JobDesk(lambda: SqliteStore(office.path, lock_wait=60), Settings())
    opening = asyncio.create_task(desk.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.sleep(0)
    owner.close()
    with pytest.raises(asyncio.CancelledError):
        await opening
    SqliteStore(office.path, lock_wait=0).close()


# What is to be done


async def test_the_wait_and_the_demand_follow_the_measured_pace(office: Office) -> None:
    desk = await office.open()
    jobs = [("a", 400.0), ("b", 400.0), ("c", 800.0)]
    await desk.apply([Submit(name, "{}", needs_plan=False, work=work) for name, work in jobs])
    attempt = await take(desk, "a")
    await ask(desk, Finish("a", attempt, result="{}", device_seconds=4.0))
    assert (await ask(desk, Get("c"))).eta_seconds == 12.0
    attempt = await take(desk, "b")
    half = Progress(stage="vae", step=0, total=1, fraction=0.8)  # a fifth is left
    await desk.report("r", ONE, [("b", attempt, half)])
    office.ahead += PICTURE_SECONDS
    assert (await ask(desk, Get("c"))).eta_seconds == pytest.approx(0.8 + 8)
    demand = await desk.demand()
    assert demand.decodes == 1
    assert demand.decode_seconds == pytest.approx(0.8 + 8)


async def test_polls_do_not_read_every_job_each_time(office: Office) -> None:
    desk = await office.open()
    await submit(desk, "a")
    for _ in range(20):
        await asyncio.gather(ask(desk, Get("a")), ask(desk, ListJobs()), desk.demand())
    looks = [batch for batch in office.store.batches if Backlog() in batch]
    assert len(looks) == 1
    office.ahead += PICTURE_SECONDS
    await ask(desk, Get("a"))
    assert len([batch for batch in office.store.batches if Backlog() in batch]) == 2


async def test_demand_counts_the_plans_of_each_planner(office: Office) -> None:
    desk = await office.open()
    for number, planner in enumerate("PPQ"):
        await ask(desk, Submit(f"{number}", "{}", needs_plan=True, planner=planner, work=1.0))
    assert (await desk.demand()).plans == {"P": 2, "Q": 1}


async def test_a_store_that_is_away_tells_no_demand(office: Office) -> None:
    """Autoscaling then leaves the replicas as they are."""
    desk = await office.open()
    await submit(desk, "a")

    def fault(batch: Sequence[Op]) -> None:
        if Backlog() in batch:
            raise StoreUnavailable("The database is locked.")

    office.store.fault = fault
    with pytest.raises(StoreUnavailable):
        await desk.demand()
    assert (await ask(desk, Get("a"))).eta_seconds == 5.0  # a poll is answered all the same
