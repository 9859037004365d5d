"""Which engine replicas live, and what each serves: told by themselves, forgotten when silent."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.jobs.snapshot import Capacity
from acestep_ray.planner.protocol import PlannerDescription

ANNOUNCE_EVERY = 1.0
"""Seconds between two announcements of a replica."""
FORGET_AFTER = 4.0
"""Seconds after which a silent replica no longer counts."""


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
    """Live replicas. ``heard``: how long this roster has listened, seconds; a young one may not
    have heard of everybody yet. ``known``: the last word on each thing that was announced since, by
    replicas that may be gone. ``slots``: jobs that one replica holds, by deployment, likewise."""

    live: tuple[Announcement, ...]
    heard: float
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
    """Kept by the job store actor, in memory: a restarted one hears of everybody in a second."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._heard: dict[str, tuple[float, Announcement]] = {}
        self._known: dict[PlannerDescription | DecoderDescription, Announcement] = {}
        self._slots: dict[str, int] = {}

    def announce(self, announcement: Announcement, now: float) -> None:
        """Note a replica's word."""
        self._known[announcement.description] = announcement
        if announcement.slots == 0:
            self._heard.pop(announcement.replica, None)
        else:
            self._heard[announcement.replica] = (now, announcement)
            self._slots[announcement.deployment] = announcement.slots

    def view(self, now: float) -> RosterView:
        """Who lives now."""
        self._heard = {
            replica: (when, word)
            for replica, (when, word) in self._heard.items()
            if now - when < FORGET_AFTER
        }
        words = sorted((word for _, word in self._heard.values()), key=lambda a: a.replica)
        known = tuple(self._known.values())
        return RosterView(tuple(words), now - self._since, known, dict(self._slots))
