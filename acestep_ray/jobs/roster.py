"""Which engine replicas live, and what each serves: told by themselves, forgotten when they die."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.jobs.changes import ChangeFeed
from acestep_ray.jobs.snapshot import Capacity
from acestep_ray.planner.protocol import PlannerDescription

ANNOUNCE_EVERY = 30.0
"""Seconds between two announcements of a replica."""
FORGET_AFTER = 2 * ANNOUNCE_EVERY
"""Seconds after which a silent replica no longer counts, though nobody saw it die."""

Version = tuple[str, int]
"""What a reader has seen: the epoch of a roster, and the number of its last change."""


@dataclass(frozen=True)
class Announcement:
    """One replica's word: what it is and how many jobs it holds at a time. ``slots`` 0: leaving.
    ``cards``: the GPUs that it sees, of its ``node``."""

    replica: str
    deployment: str
    description: PlannerDescription | DecoderDescription
    slots: int
    node: str = ""
    cards: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["planner", "decoder"]:
        """Which stage it serves."""
        return "planner" if isinstance(self.description, PlannerDescription) else "decoder"


@dataclass(frozen=True)
class RosterView:
    """Live replicas. ``known``: the last word on each thing that was announced, by replicas that
    may be gone. ``slots``: jobs that one replica holds, by deployment, likewise."""

    live: tuple[Announcement, ...]
    version: Version = ("", 0)
    known: tuple[Announcement, ...] = ()
    slots: Mapping[str, int] = field(default_factory=dict)

    def capacity(self) -> Capacity:
        """What the live replicas hold together."""
        planners = [a for a in self.live if a.kind == "planner"]
        decoders = [a for a in self.live if a.kind == "decoder"]
        return Capacity(
            planners=len(planners),
            decoders=len(decoders),
            plan_slots=sum(a.slots for a in planners),
            decode_slots=sum(a.slots for a in decoders),
            planner_slots=_slots_by_name(planners),
        )

    def planners(self) -> tuple[PlannerDescription, ...]:
        """What the planners serve, each description once."""
        found = [a.description for a in (*self.live, *self.known)]
        return tuple(dict.fromkeys(d for d in found if isinstance(d, PlannerDescription)))

    def decoders(self) -> tuple[DecoderDescription, ...]:
        """What the decoders serve, each description once: those of the living, if any lives."""
        words = [a for a in self.live if a.kind == "decoder"] or self.known
        found = (a.description for a in words)
        return tuple(dict.fromkeys(d for d in found if isinstance(d, DecoderDescription)))


def _slots_by_name(planners: list[Announcement]) -> dict[str, int]:
    slots: Counter[str] = Counter()
    for word in planners:
        slots[word.deployment] += word.slots
    return dict(slots)


class Roster:
    """Kept by the job store actor, in memory. In one event loop. ``now``: seconds, of one clock."""

    def __init__(self) -> None:
        self._changes = ChangeFeed()
        self._heard: dict[str, tuple[float, Announcement]] = {}
        self._known: dict[PlannerDescription | DecoderDescription, Announcement] = {}
        self._slots: dict[str, int] = {}

    def announce(self, announcement: Announcement, now: float) -> None:
        """Note a replica's word."""
        replica = announcement.replica
        self._known[announcement.description] = announcement
        before = self._heard.pop(replica, (now, None))[1]
        if announcement.slots:
            self._heard[replica] = (now, announcement)
            self._slots[announcement.deployment] = announcement.slots
        if before != (announcement if announcement.slots else None):
            self._changes.publish([replica])

    def forget_dead(self, alive: Collection[str], since: float) -> None:
        """Forget who is not among ``alive``, which was asked for at ``since``."""
        self._forget(
            replica
            for replica, (heard, _) in self._heard.items()
            if heard < since and replica not in alive
        )

    def forget_silent(self, now: float) -> None:
        """Forget who has said nothing for too long."""
        self._forget(
            replica for replica, (heard, _) in self._heard.items() if now - heard >= FORGET_AFTER
        )

    def _forget(self, replicas: Iterable[str]) -> None:
        gone = list(replicas)
        for replica in gone:
            del self._heard[replica]
        self._changes.publish(gone)

    def view(self) -> RosterView:
        """Who lives now."""
        words = sorted((word for _, word in self._heard.values()), key=lambda a: a.replica)
        known = tuple(self._known.values())
        return RosterView(tuple(words), self._changes.version, known, dict(self._slots))

    async def changed(self, seen: Version | None, seconds: float) -> RosterView:
        """Who lives, once it is not as ``seen`` any more, and at the latest after ``seconds``."""
        await self._changes.since(seen, seconds)
        return self.view()
