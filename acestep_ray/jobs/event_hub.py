"""Events of jobs for the readers of one process: one long poll serves all of them."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from acestep_ray.jobs.coordinator.change_log import Entries
from acestep_ray.jobs.events import EventId, JobEvent, OfJob, OfOwner, Topic
from acestep_ray.metrics import EVENT_STREAMS, NO_METER, Meter
from acestep_ray.shared_work import start_task

logger = logging.getLogger(__name__)

Poll = Callable[[EventId | None, float], Awaitable[Entries[JobEvent]]]
"""``poll(since, seconds)``: see JobCoordinator.events."""

POLL_SECONDS = 5.0
PAUSE = 0.05
"""Seconds between two polls: under load, many events come with one."""
MOST_WAITING = 1000
"""Events that wait for one reader; a slower reader reads them from the log instead."""


class TooManyStreams(Exception):
    """The process has as many readers of events as the limit allows."""


class EventReader:
    """The events of one topic that have come since ``since``, the earliest first.

    ``since`` is None until the hub has a place in the log. It moves when the hub has missed events,
    and when too many waited. Then what is between must be read from the log itself.
    """

    def __init__(self, topic: Topic, at: EventId | None) -> None:
        self.topic = topic
        self.since = at
        self._waiting: deque[tuple[int, JobEvent]] = deque()
        self._changed = asyncio.Event()

    @property
    def changed(self) -> asyncio.Event:
        """Set at the next change of this object."""
        return self._changed

    @property
    def empty(self) -> bool:
        """Whether no event waits."""
        return not self._waiting

    def continues(self, seen: EventId) -> bool:
        """Whether it has every event after ``seen``."""
        return self.since is not None and self.since[0] == seen[0] and self.since[1] <= seen[1]

    def take(self) -> list[tuple[int, JobEvent]]:
        """The events that wait, with their versions."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken

    def put(self, version: int, event: JobEvent, at: EventId) -> None:
        """Add an event. If too many wait, none of them is kept; the hub is then at ``at``."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append((version, event))
            self._wake()
        else:
            self.jump(at)

    def jump(self, at: EventId) -> None:
        """Go on at ``at``: what waits, and what came up to there, must be read from the log."""
        self._waiting.clear()
        self.since = at
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class EventHub:
    """Polls the log of events while there are readers. In one event loop.

    ``most``: most readers. ``meter`` records their number.
    """

    def __init__(self, poll: Poll, most: int, meter: Meter = NO_METER) -> None:
        self._poll = poll
        self._most = most
        self._meter = meter
        self._readers: dict[Topic, set[EventReader]] = defaultdict(set)
        self._number = 0
        self._follower: asyncio.Task[None] | None = None
        self.at: EventId | None = None
        """What was passed on to the readers; None: nothing yet."""

    def check(self) -> None:
        """Raise TooManyStreams if there are as many readers as there may be."""
        if self._number >= self._most:
            raise TooManyStreams

    @contextmanager
    def join(self, topic: Topic) -> Iterator[EventReader]:
        """A reader of the events that come from now on."""
        reader = EventReader(topic, self.at)
        self._readers[topic].add(reader)
        self._number += 1
        if self._follower is None or self._follower.done():
            self._follower = start_task(self._follow(), name="events of jobs")
        try:
            yield reader
        finally:
            self._number -= 1
            self._readers[topic].discard(reader)
            if not self._readers[topic]:
                del self._readers[topic]

    async def _follow(self) -> None:
        while self._readers:
            self._meter.set(EVENT_STREAMS, self._number)
            try:
                found = await self._poll(self.at, POLL_SECONDS)
            except Exception as error:
                logger.warning("The events of jobs cannot be read: %s; trying again", error)
                await asyncio.sleep(1)
                continue
            self._pass_on(found)
            await asyncio.sleep(PAUSE)
        self._meter.set(EVENT_STREAMS, 0)

    def _pass_on(self, found: Entries[JobEvent]) -> None:
        self.at = (found.epoch, found.version)
        if found.missed:
            for readers in self._readers.values():
                for reader in readers:
                    reader.jump(self.at)
        for version, event in found.entries:
            for topic in (OfJob(event.job_id), OfOwner(event.owner)):
                for reader in self._readers.get(topic, ()):
                    reader.put(version, event, self.at)
