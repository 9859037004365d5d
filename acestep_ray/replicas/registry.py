"""The live engine replicas, and what each serves: they register, and are removed when dead."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from statistics import mean
from typing import Literal

from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.planner.protocol import PlannerDescription
from acestep_ray.replicas.capacity import Capacity

REGISTER_EVERY = 30.0
"""Seconds between two registrations of a replica."""
FORGET_AFTER = 2 * REGISTER_EVERY
"""Seconds after its last registration when a replica is removed, even if it was not seen dead."""


@dataclass(frozen=True)
class Registration:
    """What a replica is, and how many jobs, or plans, it holds at a time (``slots``; 0: it is
    leaving).

    ``gpus``: ids of the GPUs of its ``node`` that it uses.
    """

    replica: str
    deployment: str
    description: PlannerDescription | DecoderDescription
    slots: int
    node: str = ""
    gpus: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["planner", "decoder"]:
        """Which stage it serves."""
        return "planner" if isinstance(self.description, PlannerDescription) else "decoder"


@dataclass(frozen=True)
class RegistrySnapshot:
    """A copy of the registry at one moment. ``live``: the live replicas. ``latest``: the last
    registration of each deployment, also if its replicas are all gone."""

    live: tuple[Registration, ...] = ()
    latest: tuple[Registration, ...] = ()

    @property
    def slots(self) -> Mapping[str, float]:
        """Jobs, or plans, that one replica holds, by deployment: the mean of the live replicas, or
        those of the last one; only deployments that have had a replica."""
        found: dict[str, float] = {r.deployment: r.slots for r in self.latest if r.slots}
        for deployment in {r.deployment for r in self.live}:
            found[deployment] = mean(r.slots for r in self.live if r.deployment == deployment)
        return found

    def capacity(self) -> Capacity:
        """The capacity of all live replicas."""
        planners = [r for r in self.live if r.kind == "planner"]
        decoders = [r for r in self.live if r.kind == "decoder"]
        planner_slots, decoder_slots = _slots_of(planners), _slots_of(decoders)
        return Capacity(
            planners=len(planners),
            decoders=len(decoders),
            plan_slots=sum(planner_slots.values()),
            decode_slots=sum(decoder_slots.values()),
            planner_slots=planner_slots,
            decoder_slots=decoder_slots,
            decoder_replicas=Counter(r.deployment for r in decoders),
        )

    def planners(self) -> tuple[PlannerDescription, ...]:
        """What the planners serve, each description once."""
        descriptions = (r.description for r in self._known())
        found = (d for d in descriptions if isinstance(d, PlannerDescription))
        return tuple(dict.fromkeys(found))

    def decoders(self) -> tuple[DecoderDescription, ...]:
        """What the decoders serve, each description once, with its deployment."""
        found = (
            r.description.model_copy(update={"deployment": r.deployment})
            for r in self._known()
            if isinstance(r.description, DecoderDescription)
        )
        return tuple(dict.fromkeys(found))

    def _known(self) -> Iterable[Registration]:
        """Those of the live replicas, and the last ones of deployments without live replicas."""
        alive = {r.deployment for r in self.live}
        return [*self.live, *(r for r in self.latest if r.deployment not in alive)]


def _slots_of(replicas: Iterable[Registration]) -> dict[str, int]:
    """Slots by deployment."""
    found: Counter[str] = Counter()
    for one in replicas:
        found[one.deployment] += one.slots
    return dict(found)


class ReplicaRegistry:
    """Kept in the memory of the job store actor. In one event loop. ``now``: seconds of one clock.

    ``on_change`` is called after each change of what ``snapshot`` returns.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self._live: dict[str, tuple[float, Registration]] = {}
        self._latest: dict[str, Registration] = {}

    def register(self, registration: Registration, now: float) -> None:
        """Add a replica, keep it for longer, or remove it (``slots`` 0)."""
        if registration.slots or registration.deployment not in self._latest:
            self._latest[registration.deployment] = registration
        _, before = self._live.pop(registration.replica, (now, None))
        after = registration if registration.slots else None
        if after is not None:
            self._live[registration.replica] = (now, after)
        if before != after:
            self.on_change()

    def forget_dead(self, alive: Collection[str], since: float) -> None:
        """Remove the replicas that are not in ``alive``, which was read at ``since`` or later; not
        those that have registered since then."""
        self._remove(
            replica
            for replica, (registered_at, _) in self._live.items()
            if registered_at < since and replica not in alive
        )

    def forget_silent(self, now: float) -> None:
        """Remove the replicas that have not registered for FORGET_AFTER seconds."""
        self._remove(
            replica
            for replica, (registered_at, _) in self._live.items()
            if now - registered_at >= FORGET_AFTER
        )

    def _remove(self, replicas: Iterable[str]) -> None:
        gone = list(replicas)
        for replica in gone:
            del self._live[replica]
        if gone:
            self.on_change()

    def snapshot(self) -> RegistrySnapshot:
        """A copy of the registry now."""
        live = sorted((r for _, r in self._live.values()), key=lambda r: r.replica)
        return RegistrySnapshot(tuple(live), tuple(self._latest.values()))
