"""Long polls on the change log: none misses a change, none is woken without reason."""

import asyncio

from acestep_ray.jobs.coordinator.change_log import ChangeLog, Changes


async def test_a_new_reader_has_to_read_everything() -> None:
    log: ChangeLog[str] = ChangeLog()
    log.publish(["a"])
    first = await log.since(None, 60)
    assert (first.missed, first.version, first.entries) == (True, 1, ())


async def test_a_reader_receives_what_was_published_since_in_order() -> None:
    log: ChangeLog[str] = ChangeLog()
    start = await log.since(None, 60)
    log.publish(["a", "b"])
    log.publish(["a", "c"])
    found = await log.since((start.epoch, start.version), 60)
    assert found.entries == ((1, "a"), (2, "b"), (3, "a"), (4, "c"))
    assert (found.missed, found.version) == (False, 4)
    assert (await log.since((log.epoch, 2), 60)).entries == ((3, "a"), (4, "c"))
    assert (await log.since((log.epoch, 4), 0)).entries == ()
    changes = Changes.of(found)
    assert (changes.job_ids, changes.version) == (("a", "b", "c"), 4)  # each job once


async def test_a_reader_of_some_entries_moves_on_with_all() -> None:
    """Otherwise it would be too late for the log as soon as enough others were published."""
    log: ChangeLog[str] = ChangeLog(capacity=3)
    log.publish(["a", "b", "a", "b"])
    found = await log.since((log.epoch, 1), 60, lambda entry: entry == "a")
    assert (found.entries, found.version) == (((3, "a"),), 4)
    waiter = asyncio.create_task(log.since((log.epoch, 4), 60, lambda entry: entry == "a"))
    await asyncio.sleep(0)
    log.publish(["b"])
    found = await waiter
    assert (found.entries, found.version) == ((), 5)


async def test_waiting_ends_with_the_first_change() -> None:
    log: ChangeLog[str] = ChangeLog()
    waiters = [asyncio.create_task(log.since((log.epoch, 0), 60)) for _ in range(1000)]
    await asyncio.sleep(0)
    log.publish([])
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    log.publish(["a"])
    changes = await asyncio.gather(*waiters)
    assert {(change.entries, change.version) for change in changes} == {(((1, "a"),), 1)}


async def test_waiting_ends_with_its_time() -> None:
    log: ChangeLog[str] = ChangeLog()
    changes = await log.since((log.epoch, 0), 0.01)
    assert (changes.entries, changes.missed, changes.version) == ((), False, 0)


async def test_a_late_reader_learns_that_it_missed_changes() -> None:
    log: ChangeLog[str] = ChangeLog(capacity=3)
    log.publish(["a", "b", "c", "d"])
    assert (await log.since((log.epoch, 0), 60)).missed
    changes = await log.since((log.epoch, 1), 60)
    assert (changes.entries, changes.missed) == (((2, "b"), (3, "c"), (4, "d")), False)


async def test_a_waiter_that_is_overrun_learns_that_it_missed_changes() -> None:
    log: ChangeLog[str] = ChangeLog(capacity=3)
    waiter = asyncio.create_task(log.since((log.epoch, 0), 60))
    await asyncio.sleep(0)
    log.publish("abcd")
    assert (await waiter).missed


async def test_a_reader_of_another_owner_learns_that_it_missed_changes() -> None:
    old: ChangeLog[str] = ChangeLog()
    new: ChangeLog[str] = ChangeLog()
    assert old.epoch != new.epoch
    new.publish(["a"])
    for seen in ((old.epoch, 1), (old.epoch, 0), (new.epoch, 2), (new.epoch, -1)):
        changes = await new.since(seen, 60)
        assert (changes.missed, changes.epoch, changes.version) == (True, new.epoch, 1)


async def test_closing_answers_whoever_waits_and_comes() -> None:
    log: ChangeLog[str] = ChangeLog()
    waiter = asyncio.create_task(log.since((log.epoch, 0), 60))
    await asyncio.sleep(0)
    log.close()
    assert (await waiter).entries == ()
    assert (await log.since((log.epoch, 0), 60)).entries == ()


async def test_readers_are_warned_when_nobody_knows_what_changed() -> None:
    log: ChangeLog[str] = ChangeLog()
    before = log.epoch
    waiter = asyncio.create_task(log.since((before, 0), 60))
    await asyncio.sleep(0)
    log.miss()
    reported = await waiter
    assert (reported.missed, reported.epoch == before) == (True, False)
    assert (await log.since((before, 0), 60)).missed
    log.publish(["a"])
    assert (await log.since((reported.epoch, reported.version), 60)).entries == ((1, "a"),)
