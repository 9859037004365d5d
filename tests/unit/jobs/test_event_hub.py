"""One poll for all readers of a process: each gets the events of its topic, and learns of gaps."""

import pytest

from acestep_ray.jobs.coordinator.change_log import ChangeLog, Entries
from acestep_ray.jobs.event_hub import MOST_WAITING, EventHub, EventReader, TooManyStreams
from acestep_ray.jobs.events import EventId, EventKind, JobEvent, OfJob, OfOwner
from acestep_ray.jobs.job import Status
from tests.unit.jobs.harness import until


def event(job_id: str, owner: str = "me") -> JobEvent:
    return JobEvent(EventKind.SUBMITTED, job_id, owner, 1.0, Status.QUEUED)


class Log:
    """The log that a hub polls; ``polls`` counts, ``fail`` is raised once."""

    def __init__(self) -> None:
        self.log: ChangeLog[JobEvent] = ChangeLog()
        self.polls = 0
        self.fail: Exception | None = None

    async def poll(self, since: EventId | None, seconds: float) -> Entries[JobEvent]:
        self.polls += 1
        if self.fail:
            error, self.fail = self.fail, None
            raise error
        return await self.log.since(since, seconds)

    def publish(self, *events: JobEvent) -> None:
        self.log.publish(events)


@pytest.fixture
def log() -> Log:
    return Log()


async def following(hub: EventHub, log: Log) -> None:
    """Wait until the hub has passed on everything."""
    await until(lambda: hub.at == log.log.version)


def jobs(reader: EventReader) -> list[str]:
    return [event.job_id for _, event in reader.take()]


async def test_each_reader_gets_the_events_of_its_topic(log: Log) -> None:
    hub = EventHub(log.poll, most=10)
    with (
        hub.join(OfJob("a")) as one,
        hub.join(OfJob("a")) as other,
        hub.join(OfOwner("me")) as mine,
        hub.join(OfOwner("you")) as yours,
    ):
        assert one.since is None
        await following(hub, log)
        assert {one.since, other.since, mine.since, yours.since} == {log.log.version}
        log.publish(event("a"), event("b"), event("c", "you"))
        await following(hub, log)
        assert (jobs(one), jobs(other)) == (["a"], ["a"])
        assert (jobs(mine), jobs(yours)) == (["a", "b"], ["c"])
        assert log.polls <= 4
        assert one.continues((log.log.epoch, 0))


async def test_a_reader_that_comes_later_begins_where_the_hub_is(log: Log) -> None:
    hub = EventHub(log.poll, most=10)
    with hub.join(OfJob("a")) as first:
        log.publish(event("a"))
        await following(hub, log)
        with hub.join(OfJob("a")) as second:
            assert (second.since, first.since) == ((log.log.epoch, 1), (log.log.epoch, 1))
            assert not second.continues((log.log.epoch, 0))
            assert second.continues((log.log.epoch, 1))
            assert not second.continues(("another", 1))


async def test_a_new_epoch_is_a_gap_for_every_reader(log: Log) -> None:
    hub = EventHub(log.poll, most=10)
    with hub.join(OfJob("a")) as reader, hub.join(OfJob("b")) as idle:
        await following(hub, log)
        log.publish(event("a"))
        await following(hub, log)
        changed, idle_changed = reader.changed, idle.changed
        log.log.miss()
        await following(hub, log)
        assert changed.is_set() and idle_changed.is_set()
        assert (jobs(reader), reader.since) == ([], log.log.version)
        log.publish(event("a"))
        await following(hub, log)
        assert jobs(reader) == ["a"]


async def test_a_reader_that_is_too_slow_reads_from_the_log_and_others_do_not(log: Log) -> None:
    hub = EventHub(log.poll, most=10)
    with hub.join(OfJob("a")) as slow, hub.join(OfJob("b")) as other:
        await following(hub, log)
        log.publish(*(event("a") for _ in range(MOST_WAITING)), event("b"))
        await following(hub, log)
        assert slow.continues((log.log.epoch, 0))
        log.publish(event("a"), event("b"))
        await following(hub, log)
        assert (jobs(slow), jobs(other)) == ([], ["b", "b"])
        assert not slow.continues((log.log.epoch, MOST_WAITING))
        assert slow.since == log.log.version
        log.publish(event("a"))
        await following(hub, log)
        assert jobs(slow) == ["a"]


async def test_no_poll_without_readers_and_none_is_left_behind(log: Log) -> None:
    hub = EventHub(log.poll, most=10)
    with hub.join(OfJob("a")):
        await following(hub, log)
    log.publish(event("a"))  # a poll that was under way ends
    await until(lambda: hub._follower is not None and hub._follower.done())
    assert hub._readers == {}
    polls = log.polls
    with hub.join(OfJob("a")) as reader:
        log.publish(event("a"))
        await following(hub, log)
        assert log.polls > polls
        assert reader.take()[-1][0] == 2


async def test_a_failed_poll_is_repeated(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.fail = ConnectionError("no actor")
    hub = EventHub(log.poll, most=10)
    with hub.join(OfJob("a")):
        await following(hub, log)
    assert "no actor; trying again" in caplog.text


async def test_there_is_a_most(log: Log) -> None:
    hub = EventHub(log.poll, most=2)
    hub.check()
    with hub.join(OfJob("a")), hub.join(OfJob("a")), pytest.raises(TooManyStreams):
        hub.check()
    hub.check()
