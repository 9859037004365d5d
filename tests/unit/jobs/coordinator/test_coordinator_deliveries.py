"""Messages for webhooks, as the coordinator hands them out."""

import asyncio

from acestep_ray.jobs.coordinator.coordinator import JobCoordinator
from acestep_ray.jobs.events import EventKind
from acestep_ray.jobs.result import Progress
from acestep_ray.jobs.store.operations import Finish, SaveDelivery, Submit
from acestep_ray.jobs.store.records import DeliveryRecord, DeliveryState
from acestep_ray.jobs.webhook import ProgressDelivery, Webhook
from tests.unit.jobs.harness import IN_TIME, CoordinatorHarness, ask, submit, take

HALF = Progress(stage="diffusion", step=4, total=8, fraction=0.5)
KINDS = (EventKind.STAGE, EventKind.PROGRESS, EventKind.ENDED)
WEBHOOK = Webhook(url="https://receiver.example/", events=KINDS).model_dump_json()


async def subscribe(coordinator: JobCoordinator, job_id: str) -> None:
    await ask(
        coordinator,
        Submit(job_id, "{}", needs_plan=False, webhook=WEBHOOK, webhook_kinds=("ended",)),
    )


async def test_a_call_waits_for_the_end_of_a_job(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await subscribe(coordinator, "a")
    attempt = await take(coordinator, "a")
    waiter = asyncio.create_task(coordinator.deliveries("1", 10, 30.0, IN_TIME))
    await asyncio.sleep(0)
    await ask(coordinator, Finish("a", attempt, result="{}"))
    (record,) = await waiter
    assert isinstance(record, DeliveryRecord)
    assert (record.job_id, record.kind, record.tries) == ("a", "ended", 0)
    assert await coordinator.deliveries("2", 10, 30.0, 0) == []
    assert await coordinator.deliveries("1", 10, 30.0, 0) == [record]  # the same call, repeated
    await ask(coordinator, SaveDelivery(record.delivery_id, DeliveryState.DELIVERED, 1))
    harness.ahead += 31
    assert await coordinator.deliveries("3", 10, 30.0, 0) == []


async def test_a_message_whose_sender_died_is_due_again(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    await subscribe(coordinator, "a")
    attempt = await take(coordinator, "a")
    await ask(coordinator, Finish("a", attempt, result="{}"))
    (first,) = await coordinator.deliveries("1", 10, 30.0, 0)
    harness.ahead += 31
    (again,) = await coordinator.deliveries("2", 10, 30.0, 0)
    assert isinstance(first, DeliveryRecord) and isinstance(again, DeliveryRecord)
    assert first.delivery_id == again.delivery_id


async def test_progress_is_handed_out_once_and_the_latest_only(
    harness: CoordinatorHarness,
) -> None:
    coordinator = await harness.open()
    await subscribe(coordinator, "a")
    await submit(coordinator, "b")
    attempt = await take(coordinator, "a")
    waiter = asyncio.create_task(coordinator.deliveries("1", 10, 30.0, IN_TIME))
    await asyncio.sleep(0)
    more = HALF.model_copy(update={"step": 5, "fraction": 0.6})
    await coordinator.report([("a", attempt, HALF), ("a", attempt, more)])
    (message,) = await waiter
    assert isinstance(message, ProgressDelivery)
    assert (message.webhook, message.event.progress) == (WEBHOOK, more)
    assert await coordinator.deliveries("2", 10, 30.0, 0) == []


async def test_a_call_waits_no_longer_than_it_may(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    assert await coordinator.deliveries("1", 10, 30.0, 0.01) == []


async def test_closing_does_not_wait_for_those_who_wait(harness: CoordinatorHarness) -> None:
    coordinator = await harness.open()
    waiter = asyncio.create_task(coordinator.deliveries("1", 10, 30.0, 3600))
    await asyncio.sleep(0.05)
    await coordinator.close()
    (outcome,) = await asyncio.gather(waiter, return_exceptions=True)
    assert isinstance(outcome, Exception)
