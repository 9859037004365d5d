"""Events of a coordinator over a real store, and the state that they continue."""

import asyncio

import pytest

from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.events import EventKind, JobEvent, OfJob, OfOwner, Topic
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import State
from acestep_ray.jobs.store.errors import JobExpired, JobNotFound, StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Delete, Finish, Release, Submit
from acestep_ray.jobs.store.records import ChangeKind, JobChange
from tests.unit.jobs.harness import IN_TIME, CoordinatorHarness, ask, submit, take, until

HALF = Progress(stage="diffusion", step=4, total=8, fraction=0.5)


async def events_of(
    coordinator: JobCoordinator, since: tuple[str, int], topic: Topic | None = None
) -> list[JobEvent]:
    found = await coordinator.events(since, 0, topic)
    assert not found.missed
    return [event for _, event in found.entries]


async def start_of(coordinator: JobCoordinator) -> tuple[str, int]:
    return (await coordinator.events(None, 0)).epoch, 0


async def test_a_job_s_life_in_events(harness: CoordinatorHarness) -> None:
    observed: list[JobChange] = []
    coordinator = await harness.open(observers=[observed.append])
    start = await start_of(coordinator)
    await submit(coordinator, "a", "b")
    first = await take(coordinator, "a")
    await coordinator.report([("a", first, HALF)])
    await ask(coordinator, Release("a", first, lost=True))
    second = await take(coordinator, "a", runner="s")
    await ask(coordinator, Finish("a", second, result="{}"))
    events = await events_of(coordinator, start, OfJob("a"))
    assert [(event.kind, event.status, event.attempt) for event in events] == [
        (EventKind.SUBMITTED, Status.QUEUED, 0),
        (EventKind.RUNNING, Status.RUNNING, 1),
        (EventKind.STAGE, Status.RUNNING, 1),
        (EventKind.REQUEUED, Status.QUEUED, 1),
        (EventKind.RUNNING, Status.RUNNING, 2),
        (EventKind.ENDED, Status.SUCCEEDED, 2),
    ]
    assert [one.kind for one in observed if one.job_id == "a"] == [
        *(ChangeKind.SUBMITTED, ChangeKind.STARTED, ChangeKind.REQUEUED),
        *(ChangeKind.STARTED, ChangeKind.ENDED),
    ]
    assert len(await events_of(coordinator, start)) == 7


async def test_waiting_for_events_ends_with_the_first(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    waiter = asyncio.create_task(coordinator.events(await start_of(coordinator), IN_TIME))
    await submit(coordinator, "a")
    ((version, event),) = (await waiter).entries
    assert (version, event.job_id) == (1, "a")


async def test_the_state_of_a_job(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    with pytest.raises(JobNotFound):
        await coordinator.state(OfJob("a"))
    await submit(coordinator, "a", "b")
    attempt = await take(coordinator, "a")
    await coordinator.report([("a", attempt, HALF)])
    state = await coordinator.state(OfJob("a"))
    (job,) = state.jobs
    assert (job.record.status, job.progress) == (Status.RUNNING, HALF)
    assert state.id == (state.id[0], 4)
    await ask(coordinator, Delete("a"))
    with pytest.raises(JobExpired):
        await coordinator.state(OfJob("a"))
    assert [e.kind for e in await events_of(coordinator, state.id)] == ["ended", "deleted"]


async def test_the_state_of_an_owner_has_the_jobs_that_have_not_ended(
    harness: CoordinatorHarness,
) -> None:
    coordinator = await harness.open()
    for job_id, owner in (("a", "me"), ("b", "me"), ("c", "you"), ("d", "me")):
        await coordinator.apply([Submit(job_id, "{}", needs_plan=False, owner=owner)])
    await take(coordinator, "a")
    await ask(coordinator, Cancel("b"))
    state = await coordinator.state(OfOwner("me"))
    assert [(job.record.job_id, job.record.status) for job in state.jobs] == [
        ("d", Status.QUEUED),
        ("a", Status.RUNNING),
    ]
    assert (await coordinator.state(OfOwner("nobody"))).jobs == ()


def replayed(state: State, events: list[JobEvent]) -> dict[str, Status]:
    """What a reader believes; each event must be new to it."""
    known = {job.record.job_id: job.record.status for job in state.jobs}
    for event in events:
        assert known.get(event.job_id) != event.status, "the state had this event already"
        known[event.job_id] = event.status
        if event.status.ended:
            del known[event.job_id]
    return known


async def test_a_state_that_is_read_in_the_transaction_of_a_change_has_the_change(
    harness: CoordinatorHarness,
) -> None:
    """Its event is published before the state is known, so no reader would get it."""
    coordinator = await harness.open()
    await coordinator.state(OfOwner(""))
    harness.store.gate.clear()
    harness.store.waiting.clear()
    held = asyncio.create_task(coordinator.stats())
    await asyncio.to_thread(harness.store.waiting.wait, IN_TIME)
    reading = asyncio.create_task(coordinator.state(OfOwner("")))
    await asyncio.sleep(0)
    submitting = asyncio.create_task(submit(coordinator, "a"))
    await asyncio.sleep(0)
    harness.store.gate.set()
    await asyncio.gather(held, submitting)
    state = await reading
    assert len(harness.store.batches[-1]) == 3, "it is one transaction"
    assert [job.record.job_id for job in state.jobs] == ["a"]
    assert state.id[1] == 1


async def test_a_state_and_the_events_after_it_leave_nothing_out(
    harness: CoordinatorHarness,
) -> None:
    """However many others change jobs at the same time."""
    coordinator = await harness.open()
    done = asyncio.Event()
    states: list[State] = []

    async def look() -> None:
        while not done.is_set():
            states.append(await coordinator.state(OfOwner("me")))

    async def client(number: int) -> None:
        for n in range(10):
            job_id = f"{number}-{n}"
            await ask(coordinator, Submit(job_id, "{}", needs_plan=False, owner="me"))
            if n % 3:
                await ask(coordinator, Cancel(job_id))

    looking = [asyncio.create_task(look()) for _ in range(3)]
    await asyncio.gather(*(client(number) for number in range(20)))
    done.set()
    await asyncio.gather(*looking)
    last = replayed(await coordinator.state(OfOwner("me")), [])
    assert len(last) == 20 * 4
    assert len({state.id for state in states}) > 5
    for state in states:
        assert replayed(state, await events_of(coordinator, state.id)) == last


async def test_a_job_that_runs_over_a_restart_goes_on_in_the_events(
    harness: CoordinatorHarness,
) -> None:
    coordinator = await harness.open()
    await submit(coordinator, "a", "b")
    attempt = await take(coordinator, "a")
    before = await start_of(coordinator)
    await coordinator.close()
    coordinator = await harness.open()
    assert (await coordinator.events(before, 0)).missed
    start = await start_of(coordinator)
    await coordinator.report([("a", attempt, HALF), ("b", 1, HALF), ("nobody", 1, HALF)])
    (event,) = await events_of(coordinator, start)
    assert (event.kind, event.job_id, event.progress) == (EventKind.STAGE, "a", HALF)
    await ask(coordinator, Cancel("a"))
    await coordinator.report([("a", attempt, HALF.model_copy(update={"step": 5})), ("b", 1, HALF)])
    ended = (await events_of(coordinator, start))[-1]
    assert (ended.kind, ended.error_code) == (EventKind.ENDED, ErrorCode.CANCELLED)


async def test_no_attempt_is_kept_that_lost_its_job_unseen(harness: CoordinatorHarness) -> None:
    """As after a time without the store: otherwise the actor grows for ever."""
    coordinator = await harness.open(lease_seconds=0.03)
    await submit(coordinator, "a")
    await take(coordinator, "a")
    lost = JobChange("b", ChangeKind.STARTED, Status.RUNNING, attempt=1)
    coordinator._events.publish([lost], own=False)
    await until(lambda: coordinator._events.attempts() == [("a", 1)])


async def test_closing_answers_who_waits_for_events(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    waiter = asyncio.create_task(coordinator.events(await start_of(coordinator), 3600))
    await asyncio.sleep(0)
    await coordinator.close()
    assert (await waiter).entries == ()
    with pytest.raises(StoreUnavailable):
        await coordinator.state(OfJob("a"))
