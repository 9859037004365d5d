"""What the service can do now: deployed engines, and whether they are ready."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from acestep_ray.decoder.protocol import DecoderDescription
from acestep_ray.formats import ALWAYS_WRITTEN, FORMATS, AudioFormatName
from acestep_ray.planner.protocol import PlannerDescription
from acestep_ray.replicas.planners import DECODER, PlannerSpec
from acestep_ray.replicas.registry import RegistrySnapshot


@dataclass(frozen=True)
class Deployed:
    """The deployed engines. ``reasons``: why the service is not ready, one sentence each.
    ``planner_slots``: slots by planner. ``starting``: planners without a live replica that are
    being started."""

    planners: tuple[PlannerDescription, ...]
    decoders: tuple[DecoderDescription, ...]
    ready: bool
    reasons: tuple[str, ...] = ()
    planner_slots: Mapping[str, int] = field(default_factory=dict)
    starting: frozenset[str] = frozenset()

    def audio_formats(self) -> tuple[AudioFormatName, ...]:
        """The formats that every decoder can write, in the order of FORMATS."""
        # The description of a replica of earlier code lacks the field.
        known = [getattr(one, "audio_formats", ALWAYS_WRITTEN) for one in self.decoders]
        common = set(ALWAYS_WRITTEN if not known else FORMATS).intersection(*known)
        return tuple(format.name for format in FORMATS.values() if format.name in common)

    def state(self, planner: PlannerDescription) -> Literal["ready", "starting", "idle"]:
        """Whether a planner has a live replica, is being started, or has no replica."""
        if self.planner_slots.get(planner.deployment):
            return "ready"
        return "starting" if planner.deployment in self.starting else "idle"


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
    status: ServeState,
) -> Deployed:
    """What is deployed now, from what was ``known`` before, the live replicas of ``registry``, the
    configured ``planners``, and the ``status`` that Serve's controller reports.

    A planner without a registered replica is described by its settings, as far as possible. A
    decoder without a registered replica is not known.
    """
    capacity = registry.capacity()
    idle, starting = status.idle(), status.starting()
    described_by = {d.deployment: d for d in (*known.planners, *registry.planners())}
    described = (described_by.get(spec.name) or spec.describe() for spec in planners)
    missing = {spec.name for spec in planners} - capacity.planner_slots.keys()
    decoders = registry.decoders() or known.decoders
    reasons = [
        f"No {spec.name} replica is up yet."
        for spec in planners
        if spec.pair.min_replicas and spec.name in missing - idle
    ]
    if not capacity.decoders and not (decoders and DECODER in idle):
        reasons.append("No decoder replica is up yet.")
    return Deployed(
        planners=tuple(d for d in described if d.models),
        decoders=decoders,
        ready=not reasons,
        reasons=tuple(reasons),
        planner_slots=capacity.planner_slots,
        starting=starting & missing,
    )
