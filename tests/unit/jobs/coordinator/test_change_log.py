"""Long polls on the change log: none misses a change, none is woken without reason."""

import asyncio

from acestep_ray.jobs.coordinator.change_log import ChangeLog


async def test_a_new_reader_is_told_to_look_at_everything() -> None:
    feed = ChangeLog()
    feed.publish(["a"])
    first = await feed.since(None, 60)
    assert (first.missed, first.version, first.job_ids) == (True, 1, ())


async def test_a_reader_is_told_what_changed_since_each_job_once_in_order() -> None:
    feed = ChangeLog()
    start = await feed.since(None, 60)
    feed.publish(["a", "b"])
    feed.publish(["a", "c"])
    changes = await feed.since((start.epoch, start.version), 60)
    assert (changes.job_ids, changes.missed, changes.version) == (("a", "b", "c"), False, 4)
    assert (await feed.since((feed.epoch, 2), 60)).job_ids == ("a", "c")
    assert (await feed.since((feed.epoch, 4), 0)).job_ids == ()


async def test_waiting_ends_with_the_first_change() -> None:
    feed = ChangeLog()
    waiters = [asyncio.create_task(feed.since((feed.epoch, 0), 60)) for _ in range(1000)]
    await asyncio.sleep(0)
    feed.publish([])
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    feed.publish(["a"])
    changes = await asyncio.gather(*waiters)
    assert {(change.job_ids, change.version) for change in changes} == {(("a",), 1)}


async def test_waiting_ends_with_its_time() -> None:
    feed = ChangeLog()
    changes = await feed.since((feed.epoch, 0), 0.01)
    assert (changes.job_ids, changes.missed, changes.version) == ((), False, 0)


async def test_a_late_reader_is_told_that_it_missed() -> None:
    feed = ChangeLog(capacity=3)
    feed.publish(["a", "b", "c", "d"])
    assert (await feed.since((feed.epoch, 0), 60)).missed
    changes = await feed.since((feed.epoch, 1), 60)
    assert (changes.job_ids, changes.missed) == (("b", "c", "d"), False)


async def test_a_waiter_that_is_overrun_is_told_that_it_missed() -> None:
    feed = ChangeLog(capacity=3)
    waiter = asyncio.create_task(feed.since((feed.epoch, 0), 60))
    await asyncio.sleep(0)
    feed.publish("abcd")
    assert (await waiter).missed


async def test_a_reader_of_another_owner_is_told_that_it_missed() -> None:
    old, new = ChangeLog(), ChangeLog()
    assert old.epoch != new.epoch
    new.publish(["a"])
    for seen in ((old.epoch, 1), (old.epoch, 0), (new.epoch, 2), (new.epoch, -1)):
        changes = await new.since(seen, 60)
        assert (changes.missed, changes.epoch, changes.version) == (True, new.epoch, 1)


async def test_closing_answers_whoever_waits_and_comes() -> None:
    feed = ChangeLog()
    waiter = asyncio.create_task(feed.since((feed.epoch, 0), 60))
    await asyncio.sleep(0)
    feed.close()
    assert (await waiter).job_ids == ()
    assert (await feed.since((feed.epoch, 0), 60)).job_ids == ()


async def test_readers_are_told_when_nobody_knows_what_changed() -> None:
    feed = ChangeLog()
    before = feed.epoch
    waiter = asyncio.create_task(feed.since((before, 0), 60))
    await asyncio.sleep(0)
    feed.miss()
    reported = await waiter
    assert (reported.missed, reported.epoch == before) == (True, False)
    assert (await feed.since((before, 0), 60)).missed
    feed.publish(["a"])
    assert (await feed.since((reported.epoch, reported.version), 60)).job_ids == ("a",)
