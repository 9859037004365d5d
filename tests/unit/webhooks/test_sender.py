"""Messages from the job store to receivers: each end arrives, whatever fails in between."""

import asyncio
import logging
from dataclasses import replace

import pytest

from acestep_ray.jobs.job import Status
from acestep_ray.jobs.store.errors import StoreUnavailable
from acestep_ray.jobs.store.operations import Cancel, Delete, Submit
from acestep_ray.jobs.store.records import DeliveryState
from acestep_ray.webhooks.sender import TURN_SECONDS
from acestep_ray.webhooks.tries import SAVE_PATIENCE
from tests.service import free_port
from tests.unit.webhooks.conftest import MakeHarness
from tests.unit.webhooks.jobs import WebhookHarness, saves, until
from tests.unit.webhooks.names import SetNames
from tests.unit.webhooks.test_post import raw_server
from tests.webhook_receiver import SECRET, Received, Receiver, Reply

LEASE = TURN_SECONDS + SAVE_PATIENCE + 60.0
"""More seconds than a message stays with a sender that has died."""


async def test_the_end_of_a_job_arrives(harness: WebhookHarness, receiver: Receiver) -> None:
    harness.send()
    await harness.make("a", f"{receiver.url}/hook")
    record = await harness.until_state("a", "delivered")
    (received,) = receiver.received
    message = received.verified()
    assert message["type"] == "job.ended"
    assert message["data"]["job_id"] == "a" and message["data"]["status"] == "succeeded"
    assert message["data"]["result"]["audio_paths"] == []
    assert received.message_id == record.delivery_id
    assert (record.tries, record.http_status, record.error) == (1, 204, None)
    assert harness.meter.tries("ended", "delivered") == 1


async def test_each_event_that_was_asked_for_and_no_other(
    harness: WebhookHarness, receiver: Receiver
) -> None:
    harness.send()
    await harness.make("a", receiver.url, "submitted", "running", "ended")
    await harness.make("b", receiver.url, "running")
    await until(lambda: len(receiver.received) == 4)
    found = sorted((one["data"]["job_id"], one["type"]) for one in receiver.messages())
    assert found == [
        ("a", "job.ended"), ("a", "job.running"), ("a", "job.submitted"), ("b", "job.running"),
    ]  # fmt: skip


async def test_a_receiver_that_fails_for_a_while_misses_nothing(
    harness: WebhookHarness, receiver: Receiver
) -> None:
    receiver.reply = lambda _: Reply(500 if len(receiver.received) < 5 else 200)
    harness.send()
    await harness.make("a", receiver.url)
    record = await harness.until_state("a", "delivered")
    assert record.tries == len(receiver.received) == 6
    assert len({one.message_id for one in receiver.received}) == 1
    assert all(one.verified()["data"]["job_id"] == "a" for one in receiver.received)
    assert harness.meter.tries("ended", "retry") == 5


async def test_a_receiver_that_is_not_up_yet(make_harness: MakeHarness) -> None:
    harness = await make_harness()
    harness.send()
    port = free_port()
    await harness.make("a", f"http://127.0.0.1:{port}/")
    await until(lambda: harness.meter.tries("ended", "retry") > 2)
    receiver = Receiver(port)
    try:
        assert (await harness.until_state("a", "delivered")).tries > 3
    finally:
        receiver.close()


async def test_a_receiver_that_is_gone_is_asked_once(
    harness: WebhookHarness, receiver: Receiver
) -> None:
    receiver.reply = lambda _: Reply(410)
    harness.send()
    await harness.make("a", receiver.url)
    record = await harness.until_state("a", "failed")
    assert (record.tries, record.http_status, record.next_at) == (1, 410, None)


async def test_a_receiver_that_never_accepts_is_given_up(
    make_harness: MakeHarness, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.reply = lambda _: Reply(302, (("Location", f"{receiver.url}/other"),))
    harness = await make_harness(give_up_seconds=0.2)
    harness.send()
    await harness.make("a", receiver.url)
    record = await harness.until_state("a", "failed")
    assert record.error == "the receiver responded with status 302"
    assert {one.path for one in receiver.received} == {"/"}  # the redirect is not followed
    assert "was given up" in caplog.text
    assert harness.meter.tries("ended", "failed") == 1


async def test_an_address_that_has_become_private_is_not_called(
    make_harness: MakeHarness, receiver: Receiver, names: SetNames
) -> None:
    """The name was good when the job was submitted."""
    harness = await make_harness(allow=[])
    names({"music.example": [["127.0.0.1"]]})
    port = receiver.url.rpartition(":")[2]
    harness.send()
    await harness.make("a", f"http://music.example:{port}/")
    await until(lambda: harness.meter.tries("ended", "retry") > 1)
    (record,) = await harness.deliveries("a")
    assert (record.state, record.error) == (DeliveryState.PENDING, "address not allowed")
    assert receiver.received == []


async def test_a_sender_that_dies_after_the_receiver_responded(
    harness: WebhookHarness, receiver: Receiver
) -> None:
    """The message comes twice, with one id: at least once is what is promised."""
    arrived = asyncio.Event()

    def die(op: object) -> None:
        if saves(op):
            arrived.set()
            raise StoreUnavailable("the power is gone")

    harness.client.fault = die
    harness.send()
    await harness.make("a", receiver.url)
    await arrived.wait()
    await harness.sender.drain()
    await harness.close()
    await harness.open()
    harness.ahead += LEASE
    harness.send()
    assert (await harness.until_state("a", "delivered")).tries == 1
    assert [one.verified()["type"] for one in receiver.received] == ["job.ended", "job.ended"]
    assert len({one.message_id for one in receiver.received}) == 1


async def test_messages_wait_for_a_service_that_is_down(
    harness: WebhookHarness, receiver: Receiver
) -> None:
    for number in range(20):
        await harness.make(f"job {number}", receiver.url)
    await harness.close()
    await harness.open()
    harness.ahead += 3 * 86_400  # it is up again after the time of the last try
    harness.send()
    await until(lambda: len(receiver.received) == 20)
    ids = {one["data"]["job_id"] for one in receiver.messages("job.ended")}
    assert ids == {f"job {number}" for number in range(20)}


async def test_ten_thousand_messages_to_a_dead_host_hold_up_no_other(
    make_harness: MakeHarness, receiver: Receiver
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    harness = await make_harness(timeout=0.2, first_pause=1.0, longest_pause=3600.0)
    async with raw_server(silent) as port:
        dead = f"http://127.0.0.1:{port}/"
        await _cancelled_jobs(harness, dead, 5000)
        harness.send()
        await until(lambda: harness.meter.tries("ended", "retry") > 0)
        for number in range(10):
            await harness.make(f"job {number}", receiver.url)
        await until(lambda: len(receiver.messages("job.ended")) == 10)
        assert harness.meter.tries("ended", "retry") < 1000
        await harness.sender.drain()


async def _cancelled_jobs(harness: WebhookHarness, url: str, count: int) -> None:
    """Two messages about each of so many jobs."""
    await harness.submit("template", url, "submitted", "ended")
    template = harness.submitted
    ops: list[Submit | Cancel] = [Cancel("template")]
    for number in range(count):
        job_id = f"dead {number}"
        ops += [replace(template, job_id=job_id), Cancel(job_id)]
    for begin in range(0, len(ops), 500):
        await harness.coordinator.apply(ops[begin : begin + 500])


async def test_a_receiver_that_does_not_respond_does_not_hold_up_others(
    make_harness: MakeHarness, receiver: Receiver
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    harness = await make_harness(concurrency=2, per_host=1, timeout=60)
    async with raw_server(silent) as port:
        harness.send()
        for number in range(5):
            await harness.make(f"silent {number}", f"http://127.0.0.1:{port}/")
        await harness.make("a", receiver.url)
        await harness.until_state("a", "delivered")
    await harness.sender.drain()


async def test_progress_is_throttled_and_the_end_is_not(
    make_harness: MakeHarness, receiver: Receiver
) -> None:
    harness = await make_harness(progress_seconds=1000)
    harness.send()
    await harness.submit("a", receiver.url, "stage", "progress", "ended")
    record = await harness.start()
    await harness.report(record, "diffusion", 1)
    await until(lambda: len(receiver.received) == 1)
    for step in range(2, 50):
        await harness.report(record, "diffusion", step)
    await harness.finish(record)
    await until(lambda: len(receiver.received) == 2)
    first, last = receiver.messages()
    assert (first["type"], last["type"]) == ("job.stage", "job.ended")
    assert first["data"]["progress"]["stage"] == "diffusion"
    assert last["data"]["status"] == "succeeded"
    assert harness.meter.tries("stage", "delivered") == 1


async def test_the_latest_progress_is_sent(make_harness: MakeHarness, receiver: Receiver) -> None:
    harness = await make_harness(progress_seconds=0.5)
    harness.send()
    await harness.submit("a", receiver.url, "progress")
    record = await harness.start()
    for step in range(1, 100):
        await harness.report(record, "diffusion", step)
    await until(lambda: 99 in _steps(receiver))
    assert len(_steps(receiver)) < 99
    assert len({one.message_id for one in receiver.received}) == len(receiver.received)


def _steps(receiver: Receiver) -> list[int]:
    return [one["data"]["progress"]["step"] for one in receiver.messages("job.progress")]


async def test_progress_that_is_not_accepted_is_not_sent_again(
    make_harness: MakeHarness, receiver: Receiver
) -> None:
    receiver.reply = lambda one: Reply(500 if b"job.stage" in one.body else 200)
    harness = await make_harness(progress_seconds=1000)
    harness.send()
    await harness.submit("a", receiver.url, "stage", "ended")
    record = await harness.start()
    await harness.report(record, "diffusion", 1)
    await until(lambda: harness.meter.tries("stage", "dropped") == 1)
    await harness.finish(record)
    await harness.until_state("a", "delivered")
    assert [one["type"] for one in receiver.messages()] == ["job.stage", "job.ended"]


async def test_the_end_of_a_job_that_was_deleted_at_once(
    harness: WebhookHarness, receiver: Receiver
) -> None:
    await harness.make("a", receiver.url)
    await harness.submit("b", receiver.url)
    for job_id in ("a", "b"):
        await harness.client.apply(Delete(job_id))
    harness.send()
    await until(lambda: len(receiver.received) == 2)
    found = {one["data"]["job_id"]: one["data"] for one in receiver.messages("job.ended")}
    assert found["a"]["status"] == Status.SUCCEEDED and found["a"]["result"] is None
    assert (found["b"]["status"], found["b"]["error_code"]) == ("failed", "cancelled")


async def test_a_stop_in_good_order_ends_what_has_begun(
    make_harness: MakeHarness, receiver: Receiver
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_: Received) -> Reply:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        return Reply(200)

    receiver.reply = slow
    harness = await make_harness(per_host=1)
    for job_id in ("a", "b", "c"):
        await harness.make(job_id, receiver.url)
    harness.send()
    await begun.wait()
    draining = asyncio.create_task(harness.sender.drain())
    await asyncio.sleep(0.05)
    assert not draining.done()
    go_on.set()
    await draining
    states = [(await harness.deliveries(job_id))[0].state for job_id in ("a", "b", "c")]
    assert sorted(states) == ["delivered", "pending", "pending"]
    assert len(receiver.received) == 1
    # Another process sends the others, once they are due again.
    harness.ahead += LEASE
    harness.send()
    await until(lambda: len(receiver.received) == 3)


async def test_without_a_secret_nothing_is_sent(
    make_harness: MakeHarness, receiver: Receiver
) -> None:
    harness = await make_harness(secret="")
    harness.send()
    await harness.make("a", receiver.url)
    harness.sender.check()
    await harness.sender.drain()
    assert (await harness.deliveries("a"))[0].tries == 0 and receiver.received == []


@pytest.mark.parametrize("webhook", ["nonsense", "{}", "[]", '{"url": "ftp://h/"}'])
async def test_a_webhook_of_another_release_that_cannot_be_read(
    harness: WebhookHarness, receiver: Receiver, webhook: str
) -> None:
    """It is given up, and does not keep other messages from being sent."""
    await harness.submit("template", receiver.url)
    template = harness.submitted
    await harness.coordinator.apply([replace(template, job_id="a", webhook=webhook), Cancel("a")])
    await harness.client.apply(Cancel("template"))
    harness.send()
    record = await harness.until_state("a", "failed")
    assert record.error
    await harness.until_state("template", "delivered")


async def test_a_store_that_fails_stops_nothing_for_ever(
    harness: WebhookHarness, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    failures = 0
    hand_out = harness.client.deliveries

    async def failing(*args: float) -> object:
        nonlocal failures
        failures += 1
        if failures < 2:
            raise StoreUnavailable("the disk is full")
        return await hand_out(*args)  # type: ignore[arg-type]

    harness.client.deliveries = failing  # type: ignore[method-assign, assignment]
    harness.send()
    await harness.make("a", receiver.url)
    await harness.until_state("a", "delivered")
    harness.sender.check()


async def test_a_sender_whose_loop_has_ended_is_replaced(harness: WebhookHarness) -> None:
    harness.send()
    harness.sender.check()
    await harness.sender.drain()
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError):
        harness.sender.check()


async def test_what_nobody_thought_of_is_a_failure_like_others(
    harness: WebhookHarness, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message must not be tried for ever without a pause, and never be given up."""

    async def broken(*_: object) -> None:
        raise ValueError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr("acestep_ray.webhooks.post.Poster.post", broken)
        harness.send()
        await harness.make("a", receiver.url)
        await until(lambda: harness.meter.tries("ended", "retry") > 1)
        assert (await harness.deliveries("a"))[0].error == "the service could not send it"
    assert (await harness.until_state("a", "delivered")).tries > 2


async def test_two_senders_share_the_messages(harness: WebhookHarness, receiver: Receiver) -> None:
    for number in range(30):
        await harness.make(f"job {number}", receiver.url)
    harness.send()
    first = harness.sender
    harness.send()
    await until(lambda: len(receiver.received) >= 30)
    await asyncio.gather(first.drain(), harness.sender.drain())
    assert len({one.message_id for one in receiver.received}) == len(receiver.received) == 30


async def test_no_secret_and_no_text_of_a_song_is_logged(
    harness: WebhookHarness, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.reply = lambda _: Reply(500 if len(receiver.received) < 2 else 200)
    harness.send()
    await harness.make("a", f"{receiver.url}/hook?token=geheim")
    await harness.until_state("a", "delivered")
    assert SECRET not in caplog.text and "geheim" not in caplog.text
