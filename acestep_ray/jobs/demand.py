"""How many replicas the work that waits is worth."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Demand:
    """What is asked of the engines now. ``plans``: to be made or in the making, by planner.
    ``decodes``: jobs at a decoder or on their way to one. ``decode_seconds``: what all jobs still
    ask of one decoder. ``slots``: jobs that a replica holds at a time, by deployment, where one was
    ever seen."""

    plans: Mapping[str, int] = field(default_factory=dict)
    decodes: int = 0
    decode_seconds: float = 0.0
    slots: Mapping[str, int] = field(default_factory=dict)


def planner_replicas(demand: Demand, planner: str) -> int:
    """Enough that every plan which waits is begun at once; 0 when there is none.

    How many plans a replica makes at a time is not known before one was seen: then one comes.
    """
    plans = demand.plans.get(planner, 0)
    slots = demand.slots.get(planner)
    return math.ceil(plans / slots) if slots else min(plans, 1)


def decoder_replicas(demand: Demand, decoder: str, target_seconds: float) -> int:
    """Enough that all the work that waits is done in ``target_seconds``; never too few for the jobs
    in hand; 0 when there is no work at all.

    Until one was seen, at least 1: nobody else can tell what it serves, and requests are checked
    against that.
    """
    waiting = math.ceil(demand.decode_seconds / target_seconds)
    slots = demand.slots.get(decoder)
    if slots is None:
        return max(1, waiting)
    return max(waiting, math.ceil(demand.decodes / slots))
