"""How many jobs the replicas of a cluster can hold."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Capacity:
    """Live replicas (``planners``, ``decoders``), and how much they hold together (slots): jobs in
    decoders, plans in planners.

    ``planner_slots``, ``decoder_slots``: slots by deployment, only of those that have replicas.
    ``decoder_replicas``: replicas by decoder, likewise.
    """

    planners: int = 0
    decoders: int = 0
    plan_slots: int = 0
    decode_slots: int = 0
    planner_slots: Mapping[str, int] = field(default_factory=dict)
    decoder_slots: Mapping[str, int] = field(default_factory=dict)
    decoder_replicas: Mapping[str, int] = field(default_factory=dict)


def total_capacity(capacities: Iterable[Capacity]) -> Capacity:
    """The sum of the capacities of several clusters."""
    summands = list(capacities)
    planner_slots: Counter[str] = Counter()
    decoder_slots: Counter[str] = Counter()
    decoder_replicas: Counter[str] = Counter()
    for capacity in summands:
        planner_slots.update(capacity.planner_slots)
        decoder_slots.update(capacity.decoder_slots)
        decoder_replicas.update(capacity.decoder_replicas)
    return Capacity(
        planners=sum(c.planners for c in summands),
        decoders=sum(c.decoders for c in summands),
        plan_slots=sum(c.plan_slots for c in summands),
        decode_slots=sum(c.decode_slots for c in summands),
        planner_slots=dict(planner_slots),
        decoder_slots=dict(decoder_slots),
        decoder_replicas=dict(decoder_replicas),
    )
