"""What the service can do now: deployed engines, and whether they are ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.formats import ALWAYS_WRITTEN, FORMATS, AudioFormatName
from acestep_ray.planner.protocol import PlannerDescription
from acestep_ray.replicas.decoders import DecoderSpec
from acestep_ray.replicas.planners import PlannerSpec
from acestep_ray.replicas.registry import RegistrySnapshot


@dataclass(frozen=True)
class Deployed:
    """The deployed engines. ``reasons``: why the service is not ready, one sentence each.
    ``planner_slots``, ``decoder_slots``: slots by deployment. ``starting``: planners and decoders
    without a live replica that are being started. ``unknown``: models of decoders of which it is
    not known yet what they serve. ``default_known``: whether the first decoder is not one of them.
    """

    planners: tuple[PlannerDescription, ...]
    decoders: tuple[DecoderDescription, ...]
    ready: bool
    reasons: tuple[str, ...] = ()
    planner_slots: Mapping[str, int] = field(default_factory=dict)
    starting: frozenset[str] = frozenset()
    decoder_slots: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    default_known: bool = True

    def audio_formats(self) -> tuple[AudioFormatName, ...]:
        """The formats that every decoder can write, in the order of FORMATS."""
        # The description of a replica of earlier code lacks the field.
        known = [getattr(one, "audio_formats", ALWAYS_WRITTEN) for one in self.decoders]
        common = set(ALWAYS_WRITTEN if not known else FORMATS).intersection(*known)
        return tuple(format.name for format in FORMATS.values() if format.name in common)

    def state(
        self, engine: PlannerDescription | DecoderDescription
    ) -> Literal["ready", "starting", "idle"]:
        """Whether a planner or decoder has a live replica, is being started, or has no replica."""
        name = engine.deployment
        if self.planner_slots.get(name) or self.decoder_slots.get(name):
            return "ready"
        return "starting" if name in self.starting else "idle"


class ServeState(Protocol):
    """What Serve's controller reports about deployments."""

    async def look(self) -> None:
        """Ask the controller again. Raises nothing: if it fails, the last report is kept."""
        ...

    def starting(self) -> frozenset[str]:
        """Names of the deployments that are starting a replica."""
        ...

    def idle(self) -> frozenset[str]:
        """Names of the deployments that may have no replica now: that is then not a fault."""
        ...


def merge(
    known: Deployed,
    registry: RegistrySnapshot,
    planners: Sequence[PlannerSpec],
    decoders: Sequence[DecoderSpec],
    status: ServeState,
) -> Deployed:
    """What is deployed now, from what was ``known`` before, the live replicas of ``registry``, the
    configured ``planners`` and ``decoders``, and the ``status`` that Serve's controller reports.

    A planner without a registered replica is described by its settings, as far as possible. A
    decoder that never had a replica is not known: only a replica can report what it does. Several
    decoders are in the order of the settings, because the first is the default.
    """
    capacity = registry.capacity()
    idle, starting = status.idle(), status.starting()
    described_by = {d.deployment: d for d in (*known.planners, *registry.planners())}
    described = (described_by.get(spec.name) or spec.describe() for spec in planners)
    missing = {spec.name for spec in planners} - capacity.planner_slots.keys()
    absent = {spec.name for spec in decoders} - capacity.decoder_slots.keys()
    able = _decoders(known, registry, decoders)
    known_names = {one.deployment for one in able}
    reasons = [
        f"No {spec.name} replica is up yet."
        for spec in planners
        if spec.pair.min_replicas and spec.name in missing - idle
    ]
    # Several that may be idle take turns on a GPU: it is enough that one of them was up.
    reasons += [
        f"No {'decoder' if len(decoders) == 1 else spec.name} replica is up yet."
        for spec in decoders
        if spec.name in absent - (idle & known_names)
        and (spec.stage.min_replicas or len(decoders) == 1 or not able)
    ]
    return Deployed(
        planners=tuple(d for d in described if d.models),
        decoders=able,
        ready=not reasons,
        reasons=tuple(reasons),
        planner_slots=capacity.planner_slots,
        starting=starting & (missing | absent),
        decoder_slots=capacity.decoder_slots,
        unknown=tuple(s.settings.dit.model for s in decoders if s.name not in known_names),
        default_known=decoders[0].name in known_names,
    )


def _decoders(
    known: Deployed, registry: RegistrySnapshot, specs: Sequence[DecoderSpec]
) -> tuple[DecoderDescription, ...]:
    """What the configured decoders serve, as far as it is known, in their order."""
    place = {spec.name: number for number, spec in enumerate(specs)}
    reported = registry.decoders()
    there = {one.deployment for one in reported}
    gone = (one for one in known.decoders if one.deployment not in there)
    mine = [one for one in (*reported, *gone) if one.deployment in place]
    return tuple(sorted(mine, key=lambda one: place[one.deployment]))
