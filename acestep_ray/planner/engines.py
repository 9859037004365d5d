"""Every planner engine: how it is built, and what the service must know of it before that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from acestep_ray.gpu_turn import GpuTurn
from acestep_ray.planner.mock.names import PUBLISHED
from acestep_ray.planner.protocol import PlannerEngine
from acestep_ray.settings import Settings
from acestep_ray.settings.engine_names import PlannerBackend


@dataclass(frozen=True)
class GpuUse:
    """How an engine may use its GPU: the ``share`` that it may take, 0 to 1, and its ``turn``, if
    it is there only while it works."""

    share: float = 1.0
    turn: GpuTurn | None = None


def make_planner(settings: Settings, gpu: GpuUse = GpuUse()) -> PlannerEngine:
    """Build the engine that the settings name, and load its model. Raises ValueError for settings
    that cannot work on this machine, and CheckpointError for an unusable checkpoint."""
    return PLANNER_ENGINES[settings.planner].make(settings, gpu)


@dataclass(frozen=True)
class PlannerEngineKind:
    """One engine. ``make``: see make_planner; it imports the engine, whose libraries may be
    missing."""

    make: Callable[[Settings, GpuUse], PlannerEngine]
    libraries: tuple[str, ...]
    """Libraries that it needs in addition to those of the service."""
    plans_at_once: Callable[[Settings], int]
    """How many plans a replica takes. An engine that works on one job at a time takes a second one,
    which waits, so that there is no pause between two jobs."""
    slot_per_plan: bool
    """Whether each take of a job that has codes of its own is a plan of its own. False: the engine
    works on one job at a time, and on all its takes at once."""
    own_memory_check: bool
    """Whether the service does not check its GPU memory: the engine uses none, or checks it."""


def _mock(settings: Settings, gpu: GpuUse) -> PlannerEngine:
    from acestep_ray.planner.mock import MockPlanner

    models = (settings.lm.model,) if settings.lm.model else PUBLISHED
    return MockPlanner(settings.mock, settings.lyrics, settings.defaults.duration, models)


def _pt(settings: Settings, gpu: GpuUse) -> PlannerEngine:
    from acestep_ray.planner.transformers.engine import TransformersPlanner

    return TransformersPlanner.load(settings, gpu.turn)


def _vllm(settings: Settings, gpu: GpuUse) -> PlannerEngine:
    from acestep_ray.planner.vllm.engine import VllmPlanner

    return VllmPlanner.load(settings, gpu_share=gpu.share)


PLANNER_ENGINES: Mapping[PlannerBackend, PlannerEngineKind] = {
    "mock": PlannerEngineKind(
        _mock,
        libraries=(),
        plans_at_once=lambda settings: 4,
        slot_per_plan=True,
        own_memory_check=True,
    ),
    "pt": PlannerEngineKind(
        _pt,
        libraries=("torch", "transformers"),
        plans_at_once=lambda settings: 2,
        slot_per_plan=False,
        own_memory_check=False,
    ),
    "vllm": PlannerEngineKind(
        _vllm,
        libraries=("torch", "vllm"),
        plans_at_once=lambda settings: settings.lm.max_concurrent_plans,
        slot_per_plan=True,
        own_memory_check=True,
    ),
}
"""The engines by their names in the settings."""
