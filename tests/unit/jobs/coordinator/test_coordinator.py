"""The coordinator over a real store: snapshots, live state, the change log, opening, closing."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from acestep_ray.jobs.client import LeaseRequest
from acestep_ray.jobs.coordinator.coordinator import BACKLOG_SECONDS, CAPACITY, JobCoordinator
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.errors import JobExpired, StoreLocked, StoreUnavailable
from acestep_ray.jobs.store.operations import (
    Backlog,
    Cancel,
    Delete,
    Deregister,
    Finish,
    Get,
    KeepAlive,
    Lease,
    ListGarbage,
    ListJobs,
    Op,
    Release,
    SavePlan,
    Start,
    Submit,
)
from acestep_ray.jobs.store.sqlite import SqliteStore
from acestep_ray.replicas.autoscaling import decoder_replicas
from acestep_ray.replicas.capacity import Capacity
from acestep_ray.replicas.registry import Registration
from acestep_ray.settings import Settings
from tests.unit.jobs.engines import DESCRIPTION
from tests.unit.jobs.harness import (
    IN_TIME,
    CoordinatorHarness,
    ask,
    deploy,
    now_of,
    submit,
    take,
    until,
)

HALF = Progress(stage="diffusion", step=4, total=8, fraction=0.5)
ONE = Capacity(
    decoders=1, decode_slots=1, decoder_slots={"Decoder": 1}, decoder_replicas={"Decoder": 1}
)


# What clients see


async def test_queued_jobs_have_an_estimated_wait(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await submit(coordinator, "a", "b")
    first, second = await ask(coordinator, Get("a")), await ask(coordinator, Get("b"))
    assert (first.eta_seconds, second.eta_seconds) == (5.0, 10.0)
    assert (second.record.position, second.progress, second.expires_at) == (2, None, None)
    assert await ask(coordinator, ListJobs()) == [second, first]


async def test_the_wait_follows_history_and_decoders(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await submit(coordinator, "a", "b")
    attempt = await take(coordinator, "a")
    harness.ahead += 30
    await ask(coordinator, Finish("a", attempt, result="{}"))
    assert (await coordinator.stats()).job_seconds == 30.0
    assert (await ask(coordinator, Get("b"))).eta_seconds == 30.0
    deploy(coordinator, decoders=3)
    await ask(coordinator, KeepAlive("r", 1e6))
    harness.ahead += BACKLOG_SECONDS
    assert (await ask(coordinator, Get("b"))).eta_seconds == 10.0
    assert (await ask(coordinator, Get("a"))).eta_seconds is None


async def test_the_short_list_knows_the_same_wait(harness: CoordinatorHarness) -> None:
    """It holds no plan, and a job whose plan is made does not wait for one."""
    coordinator = await harness.open()
    await ask(coordinator, KeepAlive("r", 1e6))
    for job_id in "ab":
        await ask(coordinator, Submit(job_id, "{}", needs_plan=True, planner="P", work=20.0))
    leased = await ask(coordinator, Lease("r", "1", plan_slots=2, decode_slots=2))
    for record in leased:
        plan = SavePlan(record.job_id, record.attempt, "{}", seconds=300.0)
        assert await ask(coordinator, plan) is True
        assert await ask(coordinator, Start(record.job_id, record.attempt)) is True
    end = Finish("a", 1, result="{}", device_seconds=20.0)
    assert await ask(coordinator, end) is True
    await ask(coordinator, Release("b", 1, lost=False))
    harness.ahead += BACKLOG_SECONDS
    (brief,) = await ask(coordinator, ListJobs(Status.QUEUED, brief=True))
    (full,) = await ask(coordinator, ListJobs(Status.QUEUED))
    assert brief.eta_seconds == full.eta_seconds == 20.0


async def test_history_is_known_again_after_a_restart(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await submit(coordinator, "a", "b")
    attempt = await take(coordinator, "a")
    harness.ahead += 30
    await ask(coordinator, Finish("a", attempt, result="{}"))
    await coordinator.close()
    assert (await ask(await harness.open(), Get("b"))).eta_seconds == 30.0


async def test_ended_jobs_have_a_time_when_they_expire(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open(keep=100.0)
    await submit(coordinator, "a")
    harness.ahead = 7
    cancelled = await ask(coordinator, Cancel("a"))
    assert cancelled.record.error_code is ErrorCode.CANCELLED
    assert cancelled.expires_at == 1107.0
    assert await ask(coordinator, Get("a")) == cancelled


async def test_errors_are_answers_as_the_store_gives_them(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await submit(coordinator, "a")
    answers = await coordinator.apply([Delete("a"), Get("a"), Cancel("a"), ListGarbage()])
    assert [type(answer) for answer in answers] == [type(None), JobExpired, JobExpired, list]


# What runners report


async def test_progress_is_shown_while_its_attempt_runs(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await submit(coordinator, "a")
    attempt = await take(coordinator, "a")
    await coordinator.report([("a", attempt, HALF), ("a", attempt - 1, HALF), ("x", 1, HALF)])
    assert (await ask(coordinator, Get("a"))).progress == HALF
    more = HALF.model_copy(update={"step": 5})
    await coordinator.report([("a", attempt, more)])
    assert (await ask(coordinator, Get("a"))).progress == more
    await ask(coordinator, Deregister("r"))
    assert (await ask(coordinator, Get("a"))).progress is None
    assert await take(coordinator, "a", runner="s") == attempt + 1
    await coordinator.report([("a", attempt, HALF)])
    assert (await ask(coordinator, Get("a"))).progress is None


async def test_no_progress_is_kept_of_jobs_that_ended(harness: CoordinatorHarness) -> None:
    """Otherwise the actor grows with every job."""
    coordinator = await harness.open(lease_seconds=0.03)
    await submit(coordinator, *(f"{n}" for n in range(20)))
    for n in range(20):
        attempt = await take(coordinator, f"{n}")
        progress = (f"{n}", attempt, HALF)
        # A last report that comes at the same moment as the end.
        await asyncio.gather(
            coordinator.report([progress]), ask(coordinator, Finish(f"{n}", attempt, result="{}"))
        )
        await coordinator.report([progress])
    await until(lambda: coordinator._live.attempts() == [])


async def test_capacity_is_forgotten_with_its_runner(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open(lease_seconds=60.0)
    deploy(coordinator)
    await ask(coordinator, KeepAlive("r", 100))
    harness.ahead = 99
    assert (await coordinator.stats()).capacity == ONE
    harness.ahead = 101
    assert (await coordinator.stats()).capacity == Capacity()
    await ask(coordinator, KeepAlive("s", 100))
    assert (await coordinator.stats()).capacity == ONE
    await ask(coordinator, Deregister("s"))
    assert (await coordinator.stats()).capacity == Capacity()


async def test_a_change_of_capacity_wakes_the_runners(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    waiter = asyncio.create_task(coordinator.changes(await now_of(coordinator), IN_TIME))
    await asyncio.sleep(0)
    deploy(coordinator)
    assert (await waiter).job_ids == (CAPACITY,)
    assert (await coordinator.load()).slots == {"Decoder": 1}


async def test_a_lease_is_for_what_the_engines_can_start(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await ask(coordinator, KeepAlive("r", 1e6))
    for job_id, planner in (("a", ""), ("c", "Gone"), ("d", "Planner"), ("b", "")):
        await coordinator.apply([Submit(job_id, "{}", needs_plan=bool(planner), planner=planner)])

    async def leased(request_id: str) -> list[str]:
        request = LeaseRequest("r", request_id, ("Planner",))
        return [record.job_id for record in await coordinator.lease(request)]

    assert await leased("none deployed") == ["c"]  # its planner never returns
    deploy(coordinator, decoders=1, planners=2)
    assert await leased("deployed") == ["a", "d"]
    assert await leased("deployed") == ["a", "d"]
    assert await leased("again") == []


@pytest.mark.parametrize("name", ["Decoder", "Decoder-only"])
async def test_the_only_decoder_has_all_the_work_whatever_it_is_called(
    harness: CoordinatorHarness, name: str
) -> None:
    """Otherwise no replica of it would be started for the jobs that wait."""
    coordinator = await harness.open()
    one = Registration("1", name, DESCRIPTION, slots=2)
    coordinator.registry.register(one, time.monotonic())
    coordinator.registry.register(replace(one, slots=0), time.monotonic())
    await ask(coordinator, KeepAlive("r", 1e6))
    await submit(coordinator, "a")
    await coordinator.lease(LeaseRequest("r", "1", ("Planner",)))
    assert decoder_replicas(await coordinator.load(), name, 60) == 1


async def test_several_decoders_have_their_own_work(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    names = ("Decoder-a", "Decoder-b")
    for name in names:
        one = Registration(name, name, DESCRIPTION, slots=1)
        coordinator.registry.register(one, time.monotonic())
    await ask(coordinator, KeepAlive("r", 1e6))
    for job_id, decoder in (("old", ""), ("1", "Decoder-b"), ("2", "Decoder-b"), ("3", "gone")):
        await coordinator.apply([Submit(job_id, "{}", needs_plan=False, decoder=decoder)])
    leased = await coordinator.lease(LeaseRequest("r", "1", (), decoders=names))
    assert [job.job_id for job in leased] == ["old", "1", "3"]
    found = (await coordinator.load()).decoders
    assert {name: load.decodes for name, load in found.items()} == {"Decoder-a": 2, "Decoder-b": 1}


async def test_many_callers_cost_few_transactions(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    before = len(harness.store.batches)
    await asyncio.gather(*(submit(coordinator, f"{n}") for n in range(200)))
    assert len(harness.store.batches) - before <= 3
    assert (await coordinator.stats()).store.queued == 200


# The change log


async def test_the_change_log_has_what_is_committed(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    start = await now_of(coordinator)
    waiter = asyncio.create_task(coordinator.changes(start, IN_TIME))
    await submit(coordinator, "a", "b")
    changes = await waiter
    assert changes.job_ids == ("a", "b")
    await ask(coordinator, Get("a"))
    assert await now_of(coordinator) == (changes.epoch, changes.version)
    await ask(coordinator, Delete("a"))
    assert (await coordinator.changes((changes.epoch, changes.version), IN_TIME)).job_ids == ("a",)


async def test_a_restarted_coordinator_has_a_new_epoch(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    old = await now_of(coordinator)
    await coordinator.close()
    assert (await (await harness.open()).changes(old, IN_TIME)).missed


# Opening and closing


async def test_closing_answers_waiters_and_lets_go_of_the_store(
    harness: CoordinatorHarness,
) -> None:
    coordinator = await harness.open()
    waiter = asyncio.create_task(coordinator.changes(await now_of(coordinator), 3600))
    await asyncio.sleep(0)
    await coordinator.close()
    assert (await waiter).job_ids == ()
    with pytest.raises(StoreUnavailable):
        await coordinator.apply([Get("a")])
    await coordinator.close()
    SqliteStore(harness.path, lock_wait=0).close()


async def test_a_coordinator_that_cannot_open_raises_and_another_can_open(
    harness: CoordinatorHarness,
) -> None:
    owner = SqliteStore(harness.path)
    with pytest.raises(StoreLocked):
        await JobCoordinator(lambda: SqliteStore(harness.path, lock_wait=0), Settings()).open()
    owner.close()
    coordinator = await harness.open()
    await submit(coordinator, "a")


async def test_an_opening_that_is_abandoned_leaves_no_owner(harness: CoordinatorHarness) -> None:
    owner = SqliteStore(harness.path)
    coordinator = JobCoordinator(lambda: SqliteStore(harness.path, lock_wait=60), Settings())
    opening = asyncio.create_task(coordinator.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.sleep(0)
    owner.close()
    with pytest.raises(asyncio.CancelledError):
        await opening
    SqliteStore(harness.path, lock_wait=0).close()


# The load


async def test_the_wait_and_the_demand_follow_the_measured_pace(
    harness: CoordinatorHarness,
) -> None:
    coordinator = await harness.open()
    jobs = [("a", 400.0), ("b", 400.0), ("c", 800.0)]
    await coordinator.apply(
        [Submit(name, "{}", needs_plan=False, work=work) for name, work in jobs]
    )
    attempt = await take(coordinator, "a")
    await ask(coordinator, Finish("a", attempt, result="{}", device_seconds=4.0))
    assert (await ask(coordinator, Get("c"))).eta_seconds == 12.0
    attempt = await take(coordinator, "b")
    half = Progress(stage="vae", step=0, total=1, fraction=0.8)  # a fifth is left
    await coordinator.report([("b", attempt, half)])
    harness.ahead += BACKLOG_SECONDS
    assert (await ask(coordinator, Get("c"))).eta_seconds == pytest.approx(0.8 + 8)
    load = await coordinator.load()
    assert load.decodes == 1
    assert load.decode_seconds == pytest.approx(0.8 + 8)


async def test_polls_do_not_read_every_job_each_time(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await submit(coordinator, "a")
    for _ in range(20):
        await asyncio.gather(
            ask(coordinator, Get("a")), ask(coordinator, ListJobs()), coordinator.load()
        )
    reads = [batch for batch in harness.store.batches if Backlog() in batch]
    assert len(reads) == 1
    harness.ahead += BACKLOG_SECONDS
    await ask(coordinator, Get("a"))
    assert len([batch for batch in harness.store.batches if Backlog() in batch]) == 2


async def test_demand_counts_the_plans_of_each_planner(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    for number, planner in enumerate("PPQ"):
        await ask(
            coordinator, Submit(f"{number}", "{}", needs_plan=True, planner=planner, work=1.0)
        )
    assert (await coordinator.load()).plans == {"P": 2, "Q": 1}


async def test_a_store_that_is_away_reports_no_load(harness: CoordinatorHarness) -> None:
    """Autoscaling then leaves the replicas as they are."""
    coordinator = await harness.open()
    await submit(coordinator, "a")

    def fault(batch: Sequence[Op]) -> None:
        if Backlog() in batch:
            raise StoreUnavailable("The database is locked.")

    harness.store.fault = fault
    with pytest.raises(StoreUnavailable):
        await coordinator.load()
    assert (await ask(coordinator, Get("a"))).eta_seconds == 5.0  # a poll still has a result
