"""How many replicas the waiting work needs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DecoderLoad:
    """``decodes`` and ``decode_seconds`` of AutoscalingLoad, of one decoder."""

    decodes: int = 0
    decode_seconds: float = 0.0


@dataclass(frozen=True)
class AutoscalingLoad:
    """The work for the engines now.

    ``plans``: plans that wait or are being made, by planner. ``decodes``: jobs at a decoder or on
    their way to one. ``decode_seconds``: seconds that one decoder would need for all jobs. Both are
    of all decoders together; ``decoders`` has them by deployment.
    ``slots``: jobs, or plans, that a replica holds at a time on average, by deployment; only
    deployments that have had a replica. ``replicas``: live ones, by deployment.
    """

    plans: Mapping[str, int] = field(default_factory=dict)
    decodes: int = 0
    decode_seconds: float = 0.0
    slots: Mapping[str, float] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)
    decoders: Mapping[str, DecoderLoad] = field(default_factory=dict)


def planner_replicas(load: AutoscalingLoad, planner: str, waiting: int = 0) -> int:
    """Enough replicas to begin every waiting plan at once; 0 if there is none.

    ``waiting``: calls that wait for a replica; those of plans are among them, so the larger number
    counts. At most 1 until a replica has registered: how many plans it makes at a time is not known
    yet.
    """
    plans = max(load.plans.get(planner, 0), waiting)
    slots = load.slots.get(planner)
    return math.ceil(plans / slots) if slots else min(plans, 1)


def decoder_replicas(load: AutoscalingLoad, decoder: str, target_seconds: float) -> int:
    """Enough replicas to do all waiting work in ``target_seconds``, and as many of the live ones as
    hold the jobs that decoders have; 0 if there is no work.

    At least 1 until a replica has registered: requests are checked against what it serves, and only
    a replica can report that.
    """
    work = _decoder_load(load, decoder)
    waiting = math.ceil(work.decode_seconds / target_seconds)
    slots = load.slots.get(decoder)
    if slots is None:
        return max(1, waiting)
    # A decoder that takes fewer jobs than before still has those that it was given: no reason for
    # another one.
    holding = math.ceil(work.decodes / slots)
    live = getattr(load, "replicas", None)  # a job store actor of earlier code does not report them
    if live is not None:
        holding = min(holding, max(1, live.get(decoder, 0)))
    return max(waiting, holding)


def _decoder_load(load: AutoscalingLoad, decoder: str) -> DecoderLoad:
    by_decoder: Mapping[str, DecoderLoad] | None = getattr(load, "decoders", None)
    if not by_decoder:  # as with ``replicas``
        return DecoderLoad(load.decodes, load.decode_seconds)
    return by_decoder.get(decoder, DecoderLoad())
