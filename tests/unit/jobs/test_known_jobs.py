"""Polls without the actor: what is returned is never older than what a client was told before."""

import asyncio
import random

import pytest

from acestep_ray.jobs import known_jobs
from acestep_ray.jobs.client import PATIENCE
from acestep_ray.jobs.coordinator.change_log import Changes
from acestep_ray.jobs.events import OfJob
from acestep_ray.jobs.job import ErrorCode, Status
from acestep_ray.jobs.known_jobs import FOLLOW_SECONDS, FRESH_SECONDS, KnownJobs
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.snapshot import Snapshot
from acestep_ray.jobs.store.answers import Answer
from acestep_ray.jobs.store.errors import JobExpired, StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Delete, Finish, Get, ListJobs, Operation
from tests.unit.jobs.harness import CoordinatorHarness, submit, take, until
from tests.unit.jobs.local_client import LocalClient


class Client(LocalClient):
    """Counts the jobs that are read. While ``away``, calls fail; while ``held``, answers that are
    there do not arrive."""

    away = False
    reads = 0
    held: asyncio.Event | None = None

    async def apply(self, op: Operation[object, Answer], patience: float = PATIENCE) -> Answer:
        self._there()
        self.reads += isinstance(op, Get)
        answer = await super().apply(op, patience)
        if self.held and isinstance(op, Get):
            await self.held.wait()
        return answer

    async def changes(self, since: tuple[str, int] | None, seconds: float) -> Changes:
        self._there()
        return await super().changes(since, seconds)

    def _there(self) -> None:
        if self.away:
            raise StoreUnavailable("away")


class Process:
    """What an ingress process knows of the jobs of a coordinator, with a clock of its own."""

    def __init__(self, client: Client, harness: CoordinatorHarness) -> None:
        self.client = client
        self.time = 0.0
        self.known = KnownJobs(client, clock=lambda: self.time, now=harness.now)

    async def get(self, job_id: str) -> Snapshot:
        return await self.known.apply(Get(job_id))

    async def status(self, job_id: str) -> Status:
        return (await self.get(job_id)).record.status

    async def knows(self, *job_ids: str) -> None:
        """It follows the changes, and has read these jobs."""
        for job_id in job_ids:
            await self.get(job_id)
        await until(lambda: self.known.watcher.heard_at == self.time)
        for job_id in job_ids:
            await self.get(job_id)

    async def until_status(self, job_id: str, status: Status) -> None:
        async with asyncio.timeout(30):
            while await self.status(job_id) is not status:
                await asyncio.sleep(0)


@pytest.fixture
async def client(harness: CoordinatorHarness) -> Client:
    return Client(await harness.open())


@pytest.fixture
def process(client: Client, harness: CoordinatorHarness) -> Process:
    return Process(client, harness)


async def end(client: Client, job_id: str, attempt: int) -> None:
    assert await client.apply(Finish(job_id, attempt, result="{}"))


async def test_polls_of_a_job_that_has_ended_do_not_reach_the_actor(
    client: Client, process: Process
) -> None:
    await submit(client.coordinator, "a")
    await end(client, "a", await take(client.coordinator, "a"))
    await process.knows("a")
    before = client.reads
    process.time += 10
    for _ in range(100):
        assert await process.status("a") is Status.SUCCEEDED
    assert client.reads == before


async def test_progress_is_at_most_a_second_old(client: Client, process: Process) -> None:
    await submit(client.coordinator, "a")
    attempt = await take(client.coordinator, "a")
    await process.knows("a")
    before = client.reads
    step = Progress(stage="diffusion", step=4, total=8, fraction=0.5)
    await client.report([("a", attempt, step)])
    for _ in range(100):
        assert (await process.get("a")).progress is None
    assert client.reads == before
    process.time += FRESH_SECONDS
    assert (await process.get("a")).progress == step
    assert client.reads == before + 1


async def test_a_change_by_others_is_heard(client: Client, process: Process) -> None:
    await submit(client.coordinator, "a")
    await process.knows("a")
    attempt = await take(client.coordinator, "a")
    await process.until_status("a", Status.RUNNING)
    await end(client, "a", attempt)
    await process.until_status("a", Status.SUCCEEDED)


async def test_who_asks_at_once_shares_a_call(client: Client, process: Process) -> None:
    await submit(client.coordinator, "a")
    await asyncio.gather(*(process.get("a") for _ in range(50)))
    assert client.reads == 1


async def test_what_was_cancelled_here_is_cancelled_at_once(
    client: Client, process: Process
) -> None:
    await submit(client.coordinator, "a", "b")
    await process.knows("a", "b")
    await process.known.apply(Cancel("a"))
    assert (await process.get("a")).record.error_code is ErrorCode.CANCELLED
    assert (await process.get("b")).record.position == 1


async def test_what_was_deleted_here_is_gone_at_once(client: Client, process: Process) -> None:
    await submit(client.coordinator, "a")
    await process.knows("a")
    await process.known.apply(Delete("a"))
    with pytest.raises(JobExpired):
        await process.get("a")


async def test_what_a_list_said_is_not_forgotten(client: Client, process: Process) -> None:
    await submit(client.coordinator, "a")
    await process.knows("a")
    await client.apply(Cancel("a"))
    (listed,) = await process.known.apply(ListJobs())
    assert listed.record.status is Status.FAILED
    assert await process.status("a") is Status.FAILED


async def test_what_a_stream_said_is_not_forgotten(client: Client, process: Process) -> None:
    await submit(client.coordinator, "a")
    await process.knows("a")
    begin = await process.known.events(None, 0)
    await client.apply(Cancel("a"))
    await process.known.events((begin.epoch, begin.version), 0)
    assert await process.status("a") is Status.FAILED


async def test_what_the_state_of_a_stream_said_is_not_forgotten(
    client: Client, process: Process
) -> None:
    await submit(client.coordinator, "a")
    await process.knows("a")
    await client.apply(Cancel("a"))
    await process.known.state(OfJob("a"))
    assert await process.status("a") is Status.FAILED


async def test_an_answer_that_is_late_does_not_undo_what_came_after_it(
    client: Client, process: Process
) -> None:
    await submit(client.coordinator, "a")
    await process.knows("a")
    process.time += FRESH_SECONDS
    client.held = asyncio.Event()
    before = client.reads
    late = asyncio.create_task(process.get("a"))
    await until(lambda: client.reads > before)
    held, client.held = client.held, None
    await process.known.apply(Cancel("a"))
    assert await process.status("a") is Status.FAILED
    held.set()
    await late
    assert await process.status("a") is Status.FAILED


async def test_an_actor_that_is_away_stops_no_poll_of_a_known_job(
    client: Client, process: Process
) -> None:
    await submit(client.coordinator, "a", "b")
    await process.knows("a")
    client.away = True
    process.time += 100
    assert await process.status("a") is Status.QUEUED
    with pytest.raises(StoreUnavailable):
        await process.get("b")
    client.away = False
    await take(client.coordinator, "a")
    process.time += 100
    await process.until_status("a", Status.RUNNING)


async def test_an_actor_that_does_not_answer_stops_no_poll_of_a_known_job(
    client: Client, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_jobs, "FRESH_SECONDS", 0.01)
    await submit(client.coordinator, "a")
    await process.knows("a")
    client.held = asyncio.Event()
    process.time += 10
    assert await process.status("a") is Status.QUEUED
    client.held.set()


async def test_an_older_status_than_a_client_was_told_is_not_returned_while_the_actor_is_away(
    client: Client, process: Process
) -> None:
    await submit(client.coordinator, "a")
    await process.knows("a")
    await client.apply(Cancel("a"))
    await process.known.apply(ListJobs())
    client.away = True
    with pytest.raises(StoreUnavailable):
        await process.get("a")


async def test_a_job_that_has_expired_is_read_again(
    client: Client, process: Process, harness: CoordinatorHarness
) -> None:
    await submit(client.coordinator, "a")
    await end(client, "a", await take(client.coordinator, "a"))
    await process.knows("a")
    expires_at = (await process.get("a")).expires_at
    assert expires_at is not None
    before = client.reads
    harness.ahead += expires_at - harness.now() - 1
    await process.get("a")
    assert client.reads == before
    harness.ahead += 1
    await process.get("a")
    assert client.reads == before + 1


async def test_after_a_pause_nothing_is_trusted(client: Client, process: Process) -> None:
    await submit(client.coordinator, "a")
    await end(client, "a", await take(client.coordinator, "a"))
    await process.knows("a")
    process.time += FOLLOW_SECONDS + 1
    await submit(client.coordinator, "b")  # a change: the follower sees that nobody asks any more
    await until(lambda: process.known.watcher.heard_at == process.time)
    await until(lambda: not process.known.watcher.follows)
    before = client.reads
    await process.get("a")
    assert client.reads == before + 1


async def test_the_memory_is_bounded(
    client: Client, harness: CoordinatorHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_jobs, "MOST_BYTES", 10 * known_jobs.OTHER_BYTES)
    process = Process(client, harness)
    ids = [f"job {number}" for number in range(20)]
    await submit(client.coordinator, *ids)
    await process.knows(*ids)
    before = client.reads
    for job_id in ids:
        await process.get(job_id)
    assert 10 <= client.reads - before <= 20


async def test_nobody_ever_sees_a_job_go_back(client: Client, harness: CoordinatorHarness) -> None:
    """Two processes poll jobs in any order, while others change them and the actor comes and
    goes: in each process, the status that is returned never goes back."""
    chance = random.Random(1)
    order = [Status.QUEUED, Status.RUNNING, Status.SUCCEEDED, Status.FAILED]
    processes = [Process(client, harness) for _ in range(2)]
    ids = [f"job {number}" for number in range(30)]
    await submit(client.coordinator, *ids)
    told: dict[tuple[int, str], int] = {}
    done = False

    async def poll(number: int) -> None:
        process = processes[number]
        while not done:
            job_id = chance.choice(ids)
            before = told.get((number, job_id), 0)
            try:
                if chance.random() < 0.1:
                    found = await process.known.apply(ListJobs(limit=100))
                else:
                    found = [await process.get(job_id)]
            except StoreUnavailable:
                found = []
            for one in found:
                key = (number, one.record.job_id)
                rank = order.index(one.record.status)
                if one.record.job_id == job_id:
                    assert rank >= before
                told[key] = max(told.get(key, 0), rank)
            process.time += chance.choice([0, 0, 0.1, 2])
            await asyncio.sleep(0)

    async def change() -> None:
        for job_id in ids:
            attempt = await take(client.coordinator, job_id)
            client.away = chance.random() < 0.3
            await asyncio.sleep(0.005)
            client.away = False
            if chance.random() < 0.5:
                await end(client, job_id, attempt)
            else:
                await processes[chance.randrange(2)].known.apply(Cancel(job_id))

    async with asyncio.TaskGroup() as group:
        pollers = [group.create_task(poll(number % 2)) for number in range(8)]
        await change()
        done = True
    assert all(poller.done() for poller in pollers)
    assert len(told) > len(ids)
